# One image for ingest, aggregator and simulated board; compose.yaml says which one a container is.
FROM denoland/deno:2.9.6

WORKDIR /app
COPY . .

# Everything that the services import is fetched now: a container needs no network but Kafka's, and no writable disk but
# its volume. Volumes take the owner of these folders.
RUN deno cache --frozen ingest/main.ts aggregator/main.ts sim/board/main.ts sql/main.ts \
  && mkdir -p /data /flash \
  && chown deno:deno /data /flash

ENV DENO_NO_UPDATE_CHECK=1
USER deno
CMD ["task", "start:ingest"]
