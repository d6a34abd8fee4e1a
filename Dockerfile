# One image for all services; compose.yaml says which one a container is. Built for amd64 and arm64.
FROM denoland/deno:bin-2.9.6 AS deno

FROM debian:bookworm-slim AS build
COPY --from=deno /deno /usr/local/bin/deno
ENV DENO_DIR=/deno-dir DENO_NO_UPDATE_CHECK=1
WORKDIR /app
COPY . .
# Everything that the services import is fetched now: a container needs no network but its log's, and no writable disk but
# its volumes. What only tests need leaves again.
RUN apt-get -q update && apt-get -qy install --no-install-recommends ca-certificates \
  && deno cache --frozen ingest/main.ts aggregator/main.ts dashboard/main.ts sim/board/main.ts sql/main.ts \
  && dev/image/slim.sh /deno-dir \
  && for main in ingest aggregator dashboard sim/board; do \
    deno run --cached-only --no-prompt --allow-read --allow-env --allow-ffi --allow-sys $main/main.ts --help > /dev/null || exit 1; \
  done

FROM debian:bookworm-slim
RUN groupadd --gid 1993 deno && useradd --uid 1993 --gid deno --no-create-home --home-dir /tmp deno \
  && mkdir -p /data /flash /log && chown deno:deno /data /flash /log
COPY --from=deno /deno /usr/local/bin/deno
COPY --from=build /deno-dir /deno-dir
COPY --from=build /app /app
ENV DENO_DIR=/deno-dir DENO_NO_UPDATE_CHECK=1
WORKDIR /app
USER deno
# Volumes take the owner of these folders: rows, boards' flash, the embedded log.
VOLUME ["/data", "/flash", "/log"]
ENTRYPOINT ["/usr/local/bin/deno"]
CMD ["task", "start:ingest"]
