export { AdminPorts, type AdminPortsOptions } from './admin-ports.ts';
export {
  type AdminReply,
  type AdminRoute,
  type AdminRoutes,
  HttpAdmin,
  healthRoutes,
  jsonReply,
  metricsRoutes,
  textReply,
} from './http-admin.ts';
