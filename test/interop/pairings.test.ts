import t, { type Test } from 'tap';
import { clientFor } from './clients.ts';
import { type Kind, nameOf, startAgent, startServers } from './fixture.ts';
import { type Binaries, buildKonnectivity, releases, whyNoGo } from './konnectivity.ts';
import { tryPair } from './scenarios.ts';

/** Every front end of a kind of server, with a kind of agent behind it. */
async function tryPairing(t: Test, server: Kind, agent: Kind, binaries: Binaries): Promise<void> {
  // The wire of Konnectivity's agents has no word for a client's end: it is kept back for this long.
  const serverFlags = server === 'ours' ? { 'half-close-timeout': '500ms' } : {};
  const agentFlags = agent === 'ours' ? { 'dial-timeout': '1s' } : {};
  const started = await startServers(t, server, serverFlags);
  for (const running of started) {
    const behind = await startAgent(t, agent, running, agentFlags);
    for (const front of running.frontEnds) {
      const listener = 'path' in front.address ? 'UDS' : 'mTLS TCP';
      await t.test(`${front.protocol} over ${listener}`, async (t) => {
        await tryPair(t, clientFor(t, front, binaries), front, running, behind);
      });
    }
  }
}

const whyNot = await whyNoGo();
if (whyNot) {
  t.pass(whyNot, { skip: whyNot });
} else {
  for (const release of Object.values(releases)) {
    const go = await buildKonnectivity(release);
    const pairings: [Kind, Kind][] = [
      ['ours', go],
      [go, 'ours'],
    ];
    // Konnectivity with itself shows that what is expected here is what it does.
    if (release === releases.current) pairings.push(['ours', 'ours'], [go, go]);
    for (const [server, agent] of pairings) {
      await t.test(`${nameOf(server)} server, ${nameOf(agent)} agent, client ${go.release}`, (t) =>
        tryPairing(t, server, agent, go),
      );
    }
  }
}
