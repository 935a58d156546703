/** Options of both programs about the Kubernetes API, for tables to spread. */
import { ignoredOption, option } from './option.ts';
import { filePath, text } from './option-kinds.ts';

/** Their heading, for those that only one program has. */
export const kubernetesGroup = 'Kubernetes API';

export const kubernetesOptions = {
  kubeconfig: option(filePath, {
    group: kubernetesGroup,
    description: 'How to reach the Kubernetes API: a kubeconfig file, of its current context',
    defaultText: 'the service account of the pod',
  }),
  'lease-namespace': option(text, {
    group: kubernetesGroup,
    description: "Namespace of the servers' Leases",
    default: 'kube-system',
  }),
  'kube-api-content-type': ignoredOption(text, {
    description: 'Encoding of requests to the Kubernetes API',
    default: 'application/vnd.kubernetes.protobuf',
    reason: 'they are in JSON, and so few that nobody could tell',
  }),
};
