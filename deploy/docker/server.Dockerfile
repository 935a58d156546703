# fairlead-server. Build in the root of the repository: docker build -f deploy/docker/server.Dockerfile -t fairlead-server .
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
# With the operators' commands: fairlead status and fairlead why run inside the container.
RUN node deploy/docker/gather.mjs packages/server /app && node deploy/docker/gather.mjs packages/cli /app

FROM node:24-bookworm-slim
LABEL org.opencontainers.image.title="fairlead-server" org.opencontainers.image.licenses="Apache-2.0"
COPY --from=gathered /app /app
COPY deploy/docker/health-check.mjs /app/
RUN ln -s /app/node_modules/@fairlead/cli/bin/fairlead.js /usr/local/bin/fairlead
ENV NODE_ENV=production FAIRLEAD_HEALTH_PORT=8092
USER node
EXPOSE 8090 8091 8092
HEALTHCHECK --interval=5s --timeout=4s --start-period=30s CMD ["node", "/app/health-check.mjs"]
# node is process 1 and receives SIGTERM directly.
ENTRYPOINT ["node", "/app/node_modules/@fairlead/server/bin/fairlead-server.js"]
