import { echoBesideBulk, echoBesideBulkOverLink } from './beside-bulk.ts';
import { bulk, bulkOverLink } from './bulk.ts';
import { echo } from './echo.ts';
import { fleet } from './fleet.ts';
import { http } from './http.ts';
import { idleStreams } from './idle-streams.ts';
import type { LinkShape, Measure } from './measure.ts';
import { openClose } from './open-close.ts';
import { stalledReader } from './stalled-reader.ts';
import { withGoLoad } from './with-go-load.ts';

const gigabit = 125_000_000;
const slowLink: LinkShape = { roundTripMs: 50, bytesPerSecond: 1_250_000 };

const opens = [20, 200].map(openClose);
const plainHttp = [
  http({ tls: false, reconnect: false, connections: 50 }),
  http({ tls: false, reconnect: true, connections: 20 }),
];

/** All measures, in the order of the report. */
export const measures: readonly Measure[] = [
  ...[1, 10, 100].flatMap((streams) => [bulk('up', streams), bulk('down', streams)]),
  ...[1, 50, 500].map(echo),
  ...opens,
  ...plainHttp,
  http({ tls: true, reconnect: false, connections: 50 }),
  http({ tls: true, reconnect: true, connections: 20 }),
  ...[...opens, ...plainHttp].map((measure) => withGoLoad(measure)),
  withGoLoad(openClose(200), { sharesConnection: true }),
  echoBesideBulk('up'),
  echoBesideBulk('down'),
  stalledReader,
  idleStreams,
  fleet,
  bulkOverLink({ roundTripMs: 20, bytesPerSecond: gigabit }),
  bulkOverLink({ roundTripMs: 100, bytesPerSecond: gigabit }),
  echoBesideBulkOverLink('up', slowLink),
  echoBesideBulkOverLink('down', slowLink),
];
