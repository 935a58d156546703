import t, { type Test } from 'tap';
import { clientFor } from './clients.ts';
import { type Kind, nameOf, startAgent, startServers } from './fixture.ts';
import { type Binaries, buildKonnectivity, goSkipReason, releases } from './konnectivity.ts';
import { testPair } from './scenarios.ts';

/** Tests every front end of a kind of server with a kind of agent. */
async function testPairing(t: Test, server: Kind, agent: Kind, binaries: Binaries): Promise<void> {
  // Konnectivity's protocol has no half-close. The server closes a stream this long after its client's end.
  const serverFlags = server === 'fairlead' ? { 'half-close-timeout': '500ms' } : {};
  const agentFlags = agent === 'fairlead' ? { 'dial-timeout': '1s' } : {};
  const started = await startServers(t, server, serverFlags);
  for (const running of started) {
    const connected = await startAgent(t, agent, running, agentFlags);
    for (const frontEnd of running.frontEnds) {
      const listener = 'path' in frontEnd.address ? 'UDS' : 'mTLS TCP';
      await t.test(`${frontEnd.protocol} over ${listener}`, async (t) => {
        await testPair(t, clientFor(t, frontEnd, binaries), frontEnd, running, connected);
      });
    }
  }
}

const skipReason = await goSkipReason();
if (skipReason) {
  t.pass(skipReason, { skip: skipReason });
} else {
  for (const release of Object.values(releases)) {
    const go = await buildKonnectivity(release);
    const pairings: [Kind, Kind][] = [
      ['fairlead', go],
      [go, 'fairlead'],
    ];
    // Two Konnectivity programs show that the expectations match Konnectivity's behavior.
    if (release === releases.current) pairings.push(['fairlead', 'fairlead'], [go, go]);
    for (const [server, agent] of pairings) {
      await t.test(`${nameOf(server)} server, ${nameOf(agent)} agent, client ${go.release}`, (t) =>
        testPairing(t, server, agent, go),
      );
    }
  }
}
