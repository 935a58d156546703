/** Kubernetes' types, generated from its OpenAPI, for the kinds in deploy/kubernetes. */
import type {
  V1ClusterRoleBinding,
  V1ConfigMap,
  V1DaemonSet,
  V1Deployment,
  V1Namespace,
  V1NetworkPolicy,
  V1Pod,
  V1PodDisruptionBudget,
  V1Role,
  V1RoleBinding,
  V1Service,
  V1ServiceAccount,
} from '@kubernetes/client-node';

/** By apiVersion and kind. */
export interface ManifestKinds {
  'v1 ConfigMap': V1ConfigMap;
  'v1 Namespace': V1Namespace;
  'v1 Pod': V1Pod;
  'v1 Service': V1Service;
  'v1 ServiceAccount': V1ServiceAccount;
  'apps/v1 DaemonSet': V1DaemonSet;
  'apps/v1 Deployment': V1Deployment;
  'networking.k8s.io/v1 NetworkPolicy': V1NetworkPolicy;
  'policy/v1 PodDisruptionBudget': V1PodDisruptionBudget;
  'rbac.authorization.k8s.io/v1 ClusterRoleBinding': V1ClusterRoleBinding;
  'rbac.authorization.k8s.io/v1 Role': V1Role;
  'rbac.authorization.k8s.io/v1 RoleBinding': V1RoleBinding;
}
