# The program alone, in an image with the C library and nothing else: no shell, no PostgreSQL, no root.
# It wants a DATABASE_URL; the embedded PostgreSQL could not be set up without a shell.
#
#   docker build --build-arg COMMIT=$(git rev-parse --short=12 HEAD) -t stampede .
#   docker run -e DATABASE_URL=postgres://… -p 8080:8080 --read-only --tmpfs /tmp stampede
FROM oven/bun:1.4-debian AS build
WORKDIR /app
COPY . .
ARG COMMIT=unknown
RUN bun install --frozen-lockfile --omit=optional --ignore-scripts \
  && bun node_modules/patch-package/index.js && bun build.ts --lean --commit "$COMMIT"

FROM gcr.io/distroless/cc-debian13:nonroot
COPY --from=build /app/dist/stampede /usr/local/bin/stampede
# Nothing is kept here: with a DATABASE_URL all is in PostgreSQL.
WORKDIR /tmp
EXPOSE 8080
ENTRYPOINT ["/usr/local/bin/stampede"]
