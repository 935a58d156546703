# The parts of docker-compose.yml that are not Fairlead: targets, a client, traffic.
# This stage is the same in each Dockerfile of this directory, so that Docker builds it once.
FROM node:24-bookworm-slim AS build
WORKDIR /src
COPY package.json package-lock.json tsconfig.base.json ./
COPY bench/package.json bench/
COPY scripts/package.json scripts/
COPY examples examples
COPY packages packages
COPY deploy/docker deploy/docker
RUN npm ci --ignore-scripts --no-audit --no-fund \
 && npx tsc -b packages/server packages/agent packages/cli examples

FROM build AS gathered
RUN node deploy/docker/gather.mjs examples /app

FROM node:24-bookworm-slim
LABEL org.opencontainers.image.title="fairlead-demo" org.opencontainers.image.licenses="Apache-2.0"
COPY --from=gathered /app /app
ENV NODE_ENV=production
USER node
ENTRYPOINT ["node"]
