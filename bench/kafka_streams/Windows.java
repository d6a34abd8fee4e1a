import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.Serializer;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.kstream.WindowedSerdes;

/**
 * Count, sum, min, max, first and last of both channels for each device and minute, by event time: exactly once, state in
 * RocksDB, rows to an output topic. Late readings count (five minutes of grace hold them all). One thread for each of
 * two cores would need two partitions; like the others it gets one partition and takes it with one thread.
 *
 * Ends when the group's committed offset has reached the end that it was given.
 */
public final class Windows {
  record Reading(long ts, int temperature, int humidity) {}

  private static final JsonFactory JSON = new JsonFactory();

  /** As Jackson's streaming parser reads it, the fastest that is customary. */
  static Reading parse(byte[] bytes) {
    long ts = 0;
    int temperature = 0;
    int humidity = 0;
    try (JsonParser parser = JSON.createParser(bytes)) {
      parser.nextToken();
      while (parser.nextToken() == JsonToken.FIELD_NAME) {
        String name = parser.currentName();
        parser.nextToken();
        switch (name) {
          case "ts" -> ts = parser.getLongValue();
          case "temperature_c" -> temperature = (int) Math.round(parser.getDoubleValue() * 1000);
          case "humidity_pct" -> humidity = (int) Math.round(parser.getDoubleValue() * 1000);
          default -> parser.skipChildren();
        }
      }
      return new Reading(ts, temperature, humidity);
    } catch (java.io.IOException e) {
      throw new java.io.UncheckedIOException(e);
    }
  }

  /** Two channels of count, sum, min, max, first, last with their times: 2 × 48 bytes. */
  static final class Row {
    final long[] n = new long[16];

    Row add(Reading r) {
      channel(0, r.ts, r.temperature);
      channel(8, r.ts, r.humidity);
      return this;
    }

    private void channel(int at, long ts, int value) {
      boolean none = n[at] == 0;
      n[at]++;
      n[at + 1] += value;
      n[at + 2] = none ? value : Math.min(n[at + 2], value);
      n[at + 3] = none ? value : Math.max(n[at + 3], value);
      if (none || ts < n[at + 4]) { n[at + 4] = ts; n[at + 5] = value; }
      if (none || ts >= n[at + 6]) { n[at + 6] = ts; n[at + 7] = value; }
    }
  }

  static final Serializer<Row> TO = (topic, row) -> {
    ByteBuffer buffer = ByteBuffer.allocate(128);
    for (long each : row.n) buffer.putLong(each);
    return buffer.array();
  };
  static final Deserializer<Row> FROM = (topic, bytes) -> {
    Row row = new Row();
    ByteBuffer buffer = ByteBuffer.wrap(bytes);
    for (int i = 0; i < 16; i++) row.n[i] = buffer.getLong();
    return row;
  };

  public static void main(String[] args) throws Exception {
    String broker = args[0];
    String topic = args[1];
    String state = args[2];
    String id = "bench-streams-" + System.nanoTime();
    Properties config = new Properties();
    config.put(StreamsConfig.APPLICATION_ID_CONFIG, id);
    config.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, broker);
    config.put(StreamsConfig.STATE_DIR_CONFIG, state);
    config.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
    config.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
    config.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
    config.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
    Serde<Row> rows = Serdes.serdeFrom(TO, FROM);
    Serde<Reading> readings = Serdes.serdeFrom((t, r) -> null, (t, bytes) -> bytes == null ? null : parse(bytes));
    StreamsBuilder builder = new StreamsBuilder();
    builder
        .stream(topic, Consumed.with(Serdes.String(), readings)
            // What our own runs leave behind the readings has no time and is skipped.
            .withTimestampExtractor((record, previous) -> record.value() instanceof Reading r && r.ts() > 0 ? r.ts() : -1))
        .groupByKey(Grouped.with(Serdes.String(), readings))
        .windowedBy(TimeWindows.ofSizeAndGrace(Duration.ofMinutes(1), Duration.ofMinutes(5)))
        .aggregate(Row::new, (key, reading, row) -> row.add(reading), Materialized.with(Serdes.String(), rows))
        .toStream()
        .to(id + "-rows", Produced.with(WindowedSerdes.timeWindowedSerdeFrom(String.class, 60_000), rows));
    try (Admin admin = Admin.create(Map.of("bootstrap.servers", broker))) {
      admin.createTopics(java.util.List.of(new NewTopic(id + "-rows", 1, (short) 1))).all().get();
      TopicPartition partition = new TopicPartition(topic, 0);
      long end = Long.parseLong(args[3]);
      try (KafkaStreams streams = new KafkaStreams(builder.build(), config)) {
        streams.start();
        for (;;) {
          Thread.sleep(100);
          OffsetAndMetadata committed =
              admin.listConsumerGroupOffsets(id).partitionsToOffsetAndMetadata().get().get(partition);
          if (committed != null && committed.offset() >= end) break;
        }
        System.out.println("done " + end);
        System.out.flush();
        System.in.read(); // measured from outside, then let go
        streams.close(Duration.ofSeconds(2));
      }
    }
  }
}
