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

/** Asked about every address that a target resolves to, before it is dialled; throws to veto it. */
export type AddressCheck = (address: string, port: number) => void;

/**
 * Link-local addresses, and where clouds hand out the credentials of their machines. Only a rule about
 * such addresses in particular opens them: `0.0.0.0/0` and names do not.
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
 * Which targets an agent dials. A denial wins; once there is an allow rule, what none of them names is
 * denied; link-local and cloud metadata addresses are denied unless a rule is about them; the agent's own
 * ports always.
 */
export class TargetPolicy {
  readonly #rules: TargetRules;
  readonly #ownPorts: ReadonlySet<number>;

  /** @param ownPorts where the agent itself listens; may be filled later */
  constructor(rules: TargetRules, ownPorts: ReadonlySet<number>) {
    this.#rules = rules;
    this.#ownPorts = ownPorts;
  }

  /**
   * Judges a target as it was asked for.
   * @returns what judges its addresses, which only a look-up can tell
   * @throws TunnelError `policy_denied` that names the rule, also from what is returned
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
      // No look-up for a name that nothing could allow.
      if (allow.length > 0 && !mayBeAllowed) throw denied(`nothing allows ${formatTarget(target)}`);
    }
    return (address, port) => this.#checkAddress(address, port, allowedByName);
  }

  #checkAddress(text: string, port: number, allowedByName: boolean): void {
    const { allow, deny } = this.#rules;
    const shown = formatTarget({ host: text, port });
    const address = parseIpAddress(text);
    if (!address) throw denied(`${shown} is no address`);
    const covers = (rule: TargetRule) => ruleCoversAddress(rule, address, port);
    const denying = deny.find(covers);
    if (denying) throw denied(`"${denying.text}" denies ${shown}`);
    if (this.#ownPorts.has(port) && isOwn(address))
      throw denied(`${shown} is the agent's own port`);
    for (const sensitive of sensitiveNetworks) {
      const isSensitive = withEmbedded(address).some((each) => networkContains(sensitive, each));
      const isOpened = allow.some(
        (rule) =>
          rule.host.kind === 'network' &&
          networkContains(sensitive, rule.host.network) &&
          covers(rule),
      );
      if (isSensitive && !isOpened) {
        throw denied(
          `${shown} is link-local or cloud metadata, and no rule is about ${sensitive.text}`,
        );
      }
    }
    if (allow.length > 0 && !allowedByName && !allow.some(covers)) {
      throw denied(`nothing allows ${shown}`);
    }
  }
}

const denied = (reason: string): TunnelError =>
  new TunnelError('policy_denied', `the agent's policy: ${reason}`);

function withEmbedded(address: IpAddress): IpAddress[] {
  const embedded = embeddedAddress(address);
  return embedded ? [address, embedded] : [address];
}

/** Asked for the agent's own ports only, so that a look at the interfaces each time is cheap enough. */
function isOwn(address: IpAddress): boolean {
  const own = Object.values(networkInterfaces())
    .flat()
    .map((entry) => entry && parseIpAddress(entry.address)?.text);
  return withEmbedded(address).some(
    (each) =>
      own.includes(each.text) || loopbackNetworks.some((network) => networkContains(network, each)),
  );
}
