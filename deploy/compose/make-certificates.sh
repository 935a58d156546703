#!/bin/sh
# Makes the certificates of docker-compose.yml once for its networks. Each party mounts only its own volume.
# The keys of the CAs stay in /pki/authorities. `docker compose down --volumes` deletes everything.
set -eu

settings="$NODE_A_NETWORK $NODE_A_KUBELET $NODE_B_NETWORK $NODE_B_KUBELET"
if [ "$(cat /pki/authorities/made-for 2>/dev/null)" = "$settings" ]; then
  echo 'the certificates are there already'
  exit 0
fi

cas=/pki/authorities
fairlead pki init --force --out $cas --host server-1 --host server-2 --host fairlead-server >/dev/null
# A separate CA for TLS inside the streams, from kube-apiserver to kubelet. The tunnel does not use it.
fairlead pki init --force --out $cas/kubelets >/dev/null
fairlead pki issue client --force --ca $cas/kubelets/frontend --name kube-apiserver --org system:masters

cp $cas/frontend/server.crt /pki/servers/frontend.crt
cp $cas/frontend/server.key /pki/servers/frontend.key
cp $cas/frontend/ca.crt /pki/servers/frontend-ca.crt
cp $cas/agent/server.crt /pki/servers/agents.crt
cp $cas/agent/server.key /pki/servers/agents.key
cp $cas/agent/ca.crt /pki/servers/agents-ca.crt

cp $cas/frontend/ca.crt /pki/clients/frontend-ca.crt
cp $cas/frontend/client.crt $cas/frontend/client.key /pki/clients/
cp $cas/kubelets/frontend/ca.crt /pki/clients/kubelet-ca.crt
cp $cas/kubelets/frontend/kube-apiserver.crt $cas/kubelets/frontend/kube-apiserver.key /pki/clients/

# node NAME NETWORK ADDRESS: the certificate contains what its agent can claim (--agent-authorization=enforce).
node() {
  fairlead pki issue agent --force --ca $cas/agent --out "/pki/$1" --name "$1" --host "$1" --cidr "$2"
  cp $cas/agent/ca.crt "/pki/$1/servers-ca.crt"
  fairlead pki issue server --force --ca $cas/kubelets/frontend --out "/pki/$1" --name kubelet --host "$1" --ip "$3"
  cp $cas/kubelets/frontend/ca.crt "/pki/$1/kubelet-ca.crt"
}
node node-a "$NODE_A_NETWORK" "$NODE_A_KUBELET"
node node-b "$NODE_B_NETWORK" "$NODE_B_KUBELET"

echo "$settings" > /pki/authorities/made-for
