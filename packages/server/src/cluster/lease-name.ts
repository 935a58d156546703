/**
 * The name of a server's Lease, which Konnectivity's servers and agents look for.
 * @returns undefined if the ID cannot be part of a name (RFC 1123 subdomain)
 */
export function leaseNameOf(serverId: string): string | undefined {
  const name = `konnectivity-proxy-server-${serverId}`;
  return name.length <= 253 && /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/.test(name) ? name : undefined;
}
