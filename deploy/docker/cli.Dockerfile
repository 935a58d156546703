# fairlead, the operators' commands. Build in the root of the repository: docker build -f deploy/docker/cli.Dockerfile -t fairlead .
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
RUN node deploy/docker/gather.mjs packages/cli /app

FROM node:24-bookworm-slim
LABEL org.opencontainers.image.title="fairlead-cli" org.opencontainers.image.licenses="Apache-2.0"
COPY --from=gathered /app /app
# A new volume that is mounted on one of these directories gets its owner.
RUN ln -s /app/node_modules/@fairlead/cli/bin/fairlead.js /usr/local/bin/fairlead \
 && mkdir -p /pki/authorities /pki/servers /pki/clients /pki/node-a /pki/node-b && chown -R node:node /pki
ENV NODE_ENV=production
USER node
ENTRYPOINT ["node", "/app/node_modules/@fairlead/cli/bin/fairlead.js"]
