# fairlead-agent. Build in the root of the repository: docker build -f deploy/docker/agent.Dockerfile -t fairlead-agent .
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
# The agent loads @fairlead/pki/enrollment only, which needs no node-forge.
RUN node deploy/docker/gather.mjs packages/agent /app node-forge

FROM node:24-bookworm-slim
LABEL org.opencontainers.image.title="fairlead-agent" org.opencontainers.image.licenses="Apache-2.0"
COPY --from=gathered /app /app
COPY deploy/docker/health-check.mjs /app/
ENV NODE_ENV=production FAIRLEAD_HEALTH_SERVER_PORT=8093
USER node
EXPOSE 8093
HEALTHCHECK --interval=5s --timeout=4s --start-period=30s CMD ["node", "/app/health-check.mjs"]
# node is process 1 and receives SIGTERM directly.
ENTRYPOINT ["node", "/app/node_modules/@fairlead/agent/bin/fairlead-agent.js"]
