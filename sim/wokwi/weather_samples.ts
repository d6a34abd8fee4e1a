/** The air at the sensor over simulated time, from a file or a test: each sample holds until the next one. */
export interface WeatherSample {
  /** Nanoseconds after the start of the simulation. */
  readonly atNanos: number;
  /** In tenths; absent: as before. */
  readonly temperatureTenthsC?: number;
  readonly humidityTenthsPct?: number;
}
