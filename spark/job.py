"""Windows by Spark, from the topic or from the published Parquet, equal to those of DuckDB: see README.md."""

import argparse
import json
import os
import re
import sys

from pyspark.sql import SparkSession, Window
from pyspark.sql import functions as F
from pyspark.sql import types as T

import batch
import identity

DAY_MS = identity.DAY_MS

ARRIVAL = "device string, boot bigint, synced boolean, released boolean, index int, seq bigint, ts bigint, " \
    "event_ms bigint, temperature int, humidity int, fault string, reason string, raw string, named string"


# From the topic to readings.


def read_topic(spark, brokers, topic, ends):
    """Every record of the topic, up to the offsets `ends` (by partition) or all there is."""
    frame = spark.read.format("kafka").option("kafka.bootstrap.servers", brokers).option("subscribe", topic)
    if ends is not None:
        frame = frame.option("endingOffsets", json.dumps({topic: {str(at): end for at, end in ends.items()}}))
    frame = frame.option("startingOffsets", "earliest").option("includeHeaders", "true").load()
    return frame.selectExpr("partition", "offset", "unix_millis(timestamp) AS stored_ms", "key", "value", "headers")


def arrivals_of(records, partitions):
    """One row a reading in the log. The append time is the running maximum of the partition."""
    before = Window.partitionBy("partition").orderBy("offset").rowsBetween(Window.unboundedPreceding, 0)
    decode = F.udf(
        lambda partition, append_ms, key, value, headers: batch.arrivals(
            partition, partitions, append_ms, key, value, headers
        ),
        T.ArrayType(T._parse_datatype_string(ARRIVAL)),
    )
    return (
        records.withColumn("append_ms", F.max("stored_ms").over(before))
        .withColumn("arrival", F.explode(decode("partition", "append_ms", "key", "value", "headers")))
        .select("partition", "offset", "append_ms", "arrival.*")
    )


def is_kept(past_ms, retention_ms):
    """As `identity.is_kept`, at the append time of the row."""
    return (F.floor(past_ms / DAY_MS) + 1) * DAY_MS + retention_ms > F.col("append_ms")


def judge(arrivals, retention_ms):
    """Adds `verdict`: accepted, duplicate or quarantined (then `reason` says why)."""
    numbered = F.col("boot").isNotNull() & F.col("seq").isNotNull()
    valid = arrivals.filter(F.col("reason").isNull())
    verdicts = judge_numbered(valid.filter(numbered), retention_ms).unionByName(
        judge_unnumbered(valid.filter(~numbered), retention_ms)
    )
    is_refused = F.col("verdict").isin("conflict", "undecidable")
    refused = verdicts.filter(is_refused).withColumn("reason", F.col("verdict")).drop("verdict")
    quarantined = arrivals.filter(F.col("reason").isNotNull()).unionByName(refused)
    return verdicts.filter(~is_refused).unionByName(count_quarantined(quarantined, retention_ms))


def judge_numbered(readings, retention_ms):
    """The first valid reading of a slot stands."""
    slot = Window.partitionBy("device", "boot", "seq").orderBy("offset", "index")
    values = ("temperature", "humidity", "fault")
    first = F.first(F.struct("append_ms", "event_ms", *values)).over(slot)
    same_values = F.lit(True)
    for name in values:
        same_values = same_values & F.col(f"first.{name}").eqNullSafe(F.col(name))
    same_time = is_kept(F.col("first.append_ms"), retention_ms) & (F.col("first.event_ms") == F.col("ts"))
    might_be_kept = is_kept(F.col("ts") - batch.FUTURE_MS, retention_ms)
    again = (
        F.when(F.col("ts").isNull(), "duplicate")
        .when(same_time, F.when(same_values, "duplicate").otherwise("conflict"))
        .when(might_be_kept, "conflict")
        .otherwise("duplicate")
    )
    verdict = F.when(F.col("nth") == 1, "accepted").otherwise(
        F.when((again == "conflict") & F.col("released"), "duplicate").otherwise(again)
    )
    return (
        readings.withColumn("nth", F.row_number().over(slot))
        .withColumn("first", first)
        .withColumn("verdict", verdict)
        .drop("nth", "first")
    )


def by_device(readings, judged, schema):
    """Calls `judged(device, rows in the order of the log)` and joins what it says of each to the readings."""
    # The nameless device has readings in every partition.
    group = ["device", "partition"]
    place = [*group, "offset", "index"]
    columns = ["offset", "index", *(name for name in readings.columns if name not in place)]
    calls = F.udf(judged, T.ArrayType(T._parse_datatype_string(schema)))
    said = (
        readings.groupBy(*group)
        .agg(F.sort_array(F.collect_list(F.struct(*columns))).alias("rows"))
        .select(*group, F.explode(calls("device", "rows")).alias("said"))
        .select(*group, "said.*")
    )
    told = [name for name in said.columns if name not in place]
    kept = [name for name in readings.columns if name not in told]
    return readings.select(*kept).join(said, place)


def judge_unnumbered(readings, retention_ms):
    schema = "offset bigint, index int, verdict string, temperature int, humidity int, fault string"
    return by_device(readings, lambda _, rows: identity.judge_unnumbered(rows, retention_ms), schema)


def count_quarantined(readings, retention_ms):
    schema = "offset bigint, index int, is_duplicate boolean"
    counted = by_device(readings, lambda device, rows: identity.count_quarantined(rows, device, retention_ms), schema)
    verdict = F.when(F.col("is_duplicate"), "duplicate").otherwise("quarantined")
    return counted.withColumn("verdict", verdict).drop("is_duplicate")


def arrivals_by_device(judged):
    """The second balance: what became of every reading in the log. `counted` has the late ones in it."""
    verdict, released = F.col("verdict"), F.col("released")
    accepted = (verdict == "accepted") & ~released
    return judged.groupBy("device").agg(
        F.count("*").alias("arrivals"),
        F.count_if(accepted & F.col("fault").isNull()).alias("counted"),
        F.count_if(accepted & F.col("fault").isNotNull()).alias("sensor_fault"),
        F.count_if(verdict == "quarantined").alias("quarantined"),
        F.count_if(verdict == "duplicate").alias("duplicates"),
        F.count_if((verdict == "accepted") & released).alias("released"),
    )


# From published files to readings.


def read_published(spark, folder, manifest):
    """The readings that were counted, of the newest publication; without those whose retention is over."""
    paths = [
        f"{folder}/{file['path']}"
        for partition in manifest["partitions"]
        for file in partition["files"]
        if file["table"] == "reading_rows"
    ]
    if not paths:
        sys.exit(f"{folder} has no readings yet: publish some first")
    return spark.read.parquet(*paths).selectExpr(
        "device", "boot", "seq", "log_offset AS offset", "log_index AS index",
        "unix_millis(CAST(ts AS TIMESTAMP)) AS event_ms", "unix_millis(CAST(append_time AS TIMESTAMP)) AS append_ms",
        "temperature_milli_c AS temperature", "humidity_milli_pct AS humidity", "fault",
        "NOT time_uncertain AS synced",
    )


# From readings to windows.


def duration_ms(text):
    match = re.fullmatch(r"([1-9]\d*)([smhd])", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text} is no duration: use for instance 1m, 1h or 1d")
    return int(match[1]) * {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": DAY_MS}[match[2]]


def window_list(text):
    """`1m,1h,10m/1m` as (label, size, hop). Days of a zone (`1d@ZONE`) are DuckDB's alone."""
    found = []
    for label in text.split(","):
        size, _, hop = label.partition("/")
        found.append((label, duration_ms(size), duration_ms(hop or size)))
    return found


def windows_of(readings, windows, retention_ms):
    """A row for each device, size and start that holds a reading, closed or not."""
    starts = []
    for label, size, hop in windows:
        newest = F.floor(F.col("event_ms") / hop) * hop
        held = F.filter(
            F.sequence(newest - (size // hop) * hop, newest, F.lit(hop)), lambda start: start + size > F.col("event_ms")
        )
        starts.append(F.transform(held, lambda start: F.struct(
            F.lit(label).alias("window_size"), start.alias("start_ms"), (start + F.lit(size)).alias("end_ms")
        )))
    placed = readings.withColumn("window", F.explode(F.flatten(F.array(*starts)))).select("*", "window.*")
    # First and last by event time, then boot, seq and place in the log; none before any number.
    order = F.struct("event_ms", "boot", "seq", "offset", "index")
    aggregates = [
        F.count_if(F.col("fault").isNull()).alias("readings"),
        F.count_if(F.col("fault").isNotNull()).alias("sensor_faults"),
        F.count_if(~F.col("synced")).alias("time_uncertain"),
        F.min("append_ms").alias("oldest_ms"),
        F.max("append_ms").alias("append_ms"),
    ]
    for channel in ("temperature", "humidity"):
        value = F.col(channel)
        with_value = F.when(value.isNotNull(), order)
        aggregates += [
            F.count(value).alias(f"{channel}_count"),
            F.sum(value.cast("bigint")).alias(f"{channel}_sum"),
            F.min(value).alias(f"{channel}_min"),
            F.max(value).alias(f"{channel}_max"),
            F.min_by(value, with_value).alias(f"{channel}_first"),
            F.max_by(value, with_value).alias(f"{channel}_last"),
            F.array_sort(F.collect_list(value)).alias(f"{channel}_sorted"),
        ]
    rows = placed.groupBy("device", "window_size", "start_ms", "end_ms").agg(*aggregates)
    return rows.select(
        "device",
        "window_size",
        F.timestamp_millis("start_ms").alias("window_start"),
        F.timestamp_millis("end_ms").alias("window_end"),
        "readings",
        "sensor_faults",
        "time_uncertain",
        *channel_columns("temperature", "temperature_c", "temperature_milli_c_sum", retention_ms),
        *channel_columns("humidity", "humidity_pct", "humidity_milli_pct_sum", retention_ms),
    )


def channel_columns(channel, name, sum_name, retention_ms):
    """Named as in `windows`; values as exact decimals, the sum in thousandths."""
    decimal = T.DecimalType(10, 3)
    count = F.col(f"{channel}_count")

    def units(column):
        return (column.cast(T.DecimalType(10, 0)) / 1_000).cast(decimal)

    def rank(percent):
        # The ⌈p · n / 100⌉-th smallest; none once a reading that was revised has expired.
        position = F.expr(f"CAST(({channel}_count * {percent} + 99) DIV 100 AS INT)")
        is_known = (count > 0) & is_kept(F.col("oldest_ms"), retention_ms)
        return F.when(is_known, units(F.element_at(f"{channel}_sorted", position)))

    return [
        count.alias(f"{name}_count"),
        F.coalesce(F.col(f"{channel}_sum"), F.lit(0)).alias(sum_name),
        (F.col(f"{channel}_sum") / (count * 1_000.0)).alias(f"{name}_mean"),
        *(units(F.col(f"{channel}_{each}")).alias(f"{name}_{each}") for each in ("min", "max", "first", "last")),
        rank(50).alias(f"{name}_p50"),
        rank(95).alias(f"{name}_p95"),
    ]


# The command line.


def write(frame, name, options):
    if options.to is not None:
        frame.write.mode("overwrite").parquet(f"{options.to}/{name}")
    if options.jdbc is not None:
        frame.write.mode("overwrite").jdbc(options.jdbc, name, properties=dict(options.jdbc_option))


def option_pair(text):
    name, separator, value = text.partition("=")
    if separator == "":
        raise argparse.ArgumentTypeError(f"{text} is no NAME=VALUE")
    return name, value


def options_of(arguments):
    parser = argparse.ArgumentParser(prog="job.py", description=__doc__)
    parser.add_argument("--brokers", help="host:port[,host:port] of Kafka: everything is judged from the topic")
    parser.add_argument("--topic", default="readings")
    parser.add_argument("--partitions", type=int, help="of the topic, as the pipeline is configured")
    parser.add_argument("--published", help="the published folder: its readings without --brokers, else the "
                        "position up to which the topic is read")
    parser.add_argument("--windows", type=window_list, default=window_list("1m,1h,1d"), help="SIZE or SIZE/HOP, commas")
    parser.add_argument("--retention-days", type=int, default=30, help="ISOTHERM_RETENTION_DAYS of the pipeline")
    parser.add_argument("--to", help="folder for Parquet: windows, and from a topic arrivals and quarantine")
    parser.add_argument("--jdbc", help="the same as tables of a database: jdbc:…")
    parser.add_argument("--jdbc-option", type=option_pair, action="append", default=[], help="NAME=VALUE, e.g. user=me")
    options = parser.parse_args(arguments)
    if options.brokers is None and options.published is None:
        parser.error("name --brokers or --published")
    if options.brokers is not None and options.partitions is None:
        parser.error("--brokers needs --partitions: what belongs to another partition is quarantined")
    if options.to is None and options.jdbc is None:
        parser.error("name --to or --jdbc")
    return options


def main():
    options = options_of(sys.argv[1:])
    # Times are instants; the session's zone would shift them on their way in and out.
    spark = SparkSession.builder.appName("isotherm windows").config("spark.sql.session.timeZone", "UTC").getOrCreate()
    here = os.path.dirname(os.path.abspath(__file__))
    for module in ("batch.py", "identity.py"):
        spark.sparkContext.addPyFile(os.path.join(here, module))
    retention_ms = options.retention_days * DAY_MS
    manifest = None
    if options.published is not None:
        with open(f"{options.published}/manifest.json", encoding="utf-8") as file:
            manifest = json.load(file)
    if options.brokers is None:
        readings = read_published(spark, options.published, manifest)
    else:
        ends = None
        if manifest is not None:
            ends = {each["partition"]: each["nextOffset"] for each in manifest["partitions"]}
        records = read_topic(spark, options.brokers, options.topic, ends)
        judged = judge(arrivals_of(records, options.partitions), retention_ms).cache()
        write(arrivals_by_device(judged), "arrivals", options)
        quarantined = judged.filter(F.col("verdict") == "quarantined").select(
            F.col("named").alias("device"), "boot", "seq", F.timestamp_millis("ts").alias("ts"), F.col("partition").alias("log_partition"),
            F.timestamp_millis("append_ms").alias("append_time"), "reason", "raw",
            F.col("offset").alias("log_offset"), F.col("index").alias("log_index"),
        )
        write(quarantined, "quarantine", options)
        readings = judged.filter(F.col("verdict") == "accepted")
    write(windows_of(readings, options.windows, retention_ms), "windows", options)
    spark.stop()


if __name__ == "__main__":
    main()
