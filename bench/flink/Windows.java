import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Map;
import java.util.Properties;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.AggregateFunction;
import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.api.common.serialization.SerializationSchema;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.flink.connector.kafka.sink.KafkaSink;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.windowing.ProcessWindowFunction;
import org.apache.flink.streaming.api.windowing.assigners.TumblingEventTimeWindows;
import org.apache.flink.streaming.api.windowing.windows.TimeWindow;
import org.apache.flink.util.Collector;
import org.apache.kafka.common.TopicPartition;

/**
 * Count, sum, min, max, first and last of both channels for each device and minute, by event time: 30 s out of order, five
 * minutes of allowed lateness (so that late readings count), checkpoints every second, rows exactly once to a topic.
 *
 * The source is bounded by the end of the topic, so the job ends by itself once its last rows are committed.
 */
public final class Windows {
  public static final class Reading {
    public String device;
    public long ts;
    public int temperature;
    public int humidity;
  }

  public static final class Row {
    public String device;
    public long start;
    public long[] n = new long[16];

    void channel(int at, long ts, int value) {
      boolean none = n[at] == 0;
      n[at]++;
      n[at + 1] += value;
      n[at + 2] = none ? value : Math.min(n[at + 2], value);
      n[at + 3] = none ? value : Math.max(n[at + 3], value);
      if (none || ts < n[at + 4]) { n[at + 4] = ts; n[at + 5] = value; }
      if (none || ts >= n[at + 6]) { n[at + 6] = ts; n[at + 7] = value; }
    }
  }

  private static final JsonFactory JSON = new JsonFactory();

  static final class FromJson implements DeserializationSchema<Reading> {
    @Override
    public Reading deserialize(byte[] bytes) throws java.io.IOException {
      Reading reading = new Reading();
      try (JsonParser parser = JSON.createParser(bytes)) {
        parser.nextToken();
        while (parser.nextToken() == JsonToken.FIELD_NAME) {
          String name = parser.currentName();
          parser.nextToken();
          switch (name) {
            case "device" -> reading.device = parser.getText();
            case "ts" -> reading.ts = parser.getLongValue();
            case "temperature_c" -> reading.temperature = (int) Math.round(parser.getDoubleValue() * 1000);
            case "humidity_pct" -> reading.humidity = (int) Math.round(parser.getDoubleValue() * 1000);
            default -> parser.skipChildren();
          }
        }
      }
      return reading;
    }

    @Override
    public boolean isEndOfStream(Reading next) {
      return false;
    }

    @Override
    public TypeInformation<Reading> getProducedType() {
      return TypeInformation.of(Reading.class);
    }
  }

  static final class Sums implements AggregateFunction<Reading, Row, Row> {
    @Override
    public Row createAccumulator() {
      return new Row();
    }

    @Override
    public Row add(Reading reading, Row row) {
      row.channel(0, reading.ts, reading.temperature);
      row.channel(8, reading.ts, reading.humidity);
      return row;
    }

    @Override
    public Row getResult(Row row) {
      return row;
    }

    @Override
    public Row merge(Row a, Row b) {
      throw new UnsupportedOperationException("tumbling windows don't merge");
    }
  }

  static final class Named extends ProcessWindowFunction<Row, Row, String, TimeWindow> {
    @Override
    public void process(String device, Context context, Iterable<Row> rows, Collector<Row> out) {
      Row row = rows.iterator().next();
      row.device = device;
      row.start = context.window().getStart();
      out.collect(row);
    }
  }

  static final class ToBytes implements SerializationSchema<Row> {
    @Override
    public byte[] serialize(Row row) {
      byte[] device = row.device.getBytes(StandardCharsets.UTF_8);
      ByteBuffer buffer = ByteBuffer.allocate(8 + 128 + device.length);
      buffer.putLong(row.start);
      for (long each : row.n) buffer.putLong(each);
      buffer.put(device);
      return buffer.array();
    }
  }

  public static void main(String[] args) throws Exception {
    String broker = args[0];
    String topic = args[1];
    String id = "bench-flink-" + System.nanoTime();
    Configuration config = new Configuration();
    config.setString("execution.checkpointing.interval", "1 s");
    config.setString("execution.checkpointing.dir", "file://" + args[2] + "/checkpoints");
    config.setString("parallelism.default", "1");
    StreamExecutionEnvironment flink = StreamExecutionEnvironment.getExecutionEnvironment(config);
    flink.getConfig().enableObjectReuse();
    KafkaSource<Reading> source = KafkaSource.<Reading>builder()
        .setBootstrapServers(broker)
        .setTopics(topic)
        .setGroupId(id)
        .setStartingOffsets(OffsetsInitializer.earliest())
        // Not the end of the topic: our own runs leave their owner records behind the readings.
        .setBounded(OffsetsInitializer.offsets(Map.of(new TopicPartition(topic, 0), Long.parseLong(args[3]))))
        .setValueOnlyDeserializer(new FromJson())
        .build();
    Properties producer = new Properties();
    producer.setProperty("transaction.timeout.ms", "600000");
    KafkaSink<Row> sink = KafkaSink.<Row>builder()
        .setBootstrapServers(broker)
        .setKafkaProducerConfig(producer)
        .setDeliveryGuarantee(DeliveryGuarantee.EXACTLY_ONCE)
        .setTransactionalIdPrefix(id)
        .setRecordSerializer(KafkaRecordSerializationSchema.<Row>builder()
            .setTopic("bench-rows")
            .setValueSerializationSchema(new ToBytes())
            .build())
        .build();
    flink
        .fromSource(
            source,
            WatermarkStrategy.<Reading>forBoundedOutOfOrderness(Duration.ofSeconds(30))
                .withTimestampAssigner((reading, previous) -> reading.ts),
            "readings")
        .keyBy(reading -> reading.device)
        .window(TumblingEventTimeWindows.of(Duration.ofMinutes(1)))
        .allowedLateness(Duration.ofMinutes(5))
        .aggregate(new Sums(), new Named())
        .sinkTo(sink);
    flink.execute("windows");
    System.out.println("done all");
    System.out.flush();
    System.in.read(); // measured from outside, then let go
  }
}
