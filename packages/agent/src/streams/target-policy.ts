import { networkInterfaces } from 'node:os';
import { formatTarget, type Target, TunnelError } from '@fairlead/protocol';
import {
  canonicalName,
  embeddedAddress,
  type IpAddress,
  networkContains,
  parseIpAddress,
  parseIpNetwork,
  ruleCoversAddress,
  ruleCoversName,
  type TargetRule,
  type TargetRules,
} from '@fairlead/runtime/net';

/** Called with each address of a target right before it is dialed. @throws to deny the address */
export type AddressCheck = (address: string, port: number) => void;

/**
 * Link-local addresses, and those at which clouds serve the credentials of their machines. Only an allow rule
 * for a network within one of these opens them: `0.0.0.0/0` and names do not.
 */
const sensitiveNetworks = [
  '169.254.0.0/16',
  'fe80::/10',
  // AWS: instance metadata; the address of container credentials is link-local.
  'fd00:ec2::/32',
  // Google Cloud.
  'fd20:ce::254/128',
  // Alibaba Cloud.
  '100.100.100.200/32',
  // Azure's WireServer.
  '168.63.129.16/32',
].map((text) => parseIpNetwork(text)!);

const loopbackNetworks = ['127.0.0.0/8', '::1/128'].map((text) => parseIpNetwork(text)!);

/**
 * Decides which targets an agent dials. Deny rules win. If there is an allow rule, all other targets are
 * denied. Link-local and cloud metadata addresses are denied unless an allow rule names them. The agent's own
 * ports are always denied.
 */
export class TargetPolicy {
  readonly #rules: TargetRules;
  readonly #ownPorts: ReadonlySet<number>;

  /** @param ownPorts on which the agent listens; can be filled later */
  constructor(rules: TargetRules, ownPorts: ReadonlySet<number>) {
    this.#rules = rules;
    this.#ownPorts = ownPorts;
  }

  /**
   * Checks a target as the server requested it.
   * @returns the check for its addresses, which are known after the lookup
   * @throws TunnelError `policy_denied` that names the rule; the returned check throws it as well
   */
  checkTarget(target: Target): AddressCheck {
    const { allow, deny } = this.#rules;
    let allowedByName = false;
    if (!parseIpAddress(target.host)) {
      const name = canonicalName(target.host);
      const covers = (rule: TargetRule) => ruleCoversName(rule, name, target.port);
      const denying = deny.find(covers);
      if (denying) throw denied(`"${denying.text}" denies ${formatTarget(target)}`);
      allowedByName = allow.some(covers);
      const mayBeAllowed = allowedByName || allow.some(({ host }) => host.kind === 'network');
      // A name that no rule can allow is not looked up.
      if (allow.length > 0 && !mayBeAllowed) throw denied(`no rule allows ${formatTarget(target)}`);
    }
    return (address, port) => this.#checkAddress(address, port, allowedByName);
  }

  #checkAddress(text: string, port: number, allowedByName: boolean): void {
    const { allow, deny } = this.#rules;
    const shown = formatTarget({ host: text, port });
    const address = parseIpAddress(text);
    if (!address) throw denied(`${shown} is not an IP address`);
    const covers = (rule: TargetRule) => ruleCoversAddress(rule, address, port);
    const denying = deny.find(covers);
    if (denying) throw denied(`"${denying.text}" denies ${shown}`);
    if (this.#ownPorts.has(port) && isOwn(address))
      throw denied(`${shown} is the agent's own port`);
    const reached = withEmbedded(address);
    for (const sensitive of sensitiveNetworks) {
      if (!reached.some((each) => networkContains(sensitive, each))) continue;
      const isOpened = allow.some(
        (rule) =>
          rule.host.kind === 'network' &&
          networkContains(sensitive, rule.host.network) &&
          covers(rule),
      );
      if (!isOpened) {
        throw denied(
          `${shown} is link-local or cloud metadata, and no allow rule names a network within ${sensitive.text}`,
        );
      }
    }
    if (allow.length > 0 && !allowedByName && !allow.some(covers)) {
      throw denied(`no rule allows ${shown}`);
    }
  }
}

const denied = (reason: string): TunnelError =>
  new TunnelError('policy_denied', `the agent's policy: ${reason}`);

function withEmbedded(address: IpAddress): IpAddress[] {
  const embedded = embeddedAddress(address);
  return embedded ? [address, embedded] : [address];
}

/** Whether it is an address of this machine. Only called for the agent's own ports, since it lists all interfaces. */
function isOwn(address: IpAddress): boolean {
  const own = Object.values(networkInterfaces())
    .flat()
    .map((entry) => entry && parseIpAddress(entry.address)?.text);
  return withEmbedded(address).some(
    (each) =>
      own.includes(each.text) || loopbackNetworks.some((network) => networkContains(network, each)),
  );
}
