import { Session, type Transport, type TunnelStream } from '@fairlead/protocol';

const chunkBytes = 65_536;
const messageBytes = 128;
const chunk = Buffer.alloc(chunkBytes, 1);
const message = Buffer.alloc(messageBytes, 1);

/** The agent's end of a session. The target `source` sends without end; any other target echoes. */
export function serveStreams(transport: Transport): void {
  new Session(
    transport,
    {
      onHello() {},
      onOpen: (stream) => (stream.target.host === 'source' ? sendWithoutEnd(stream) : echo(stream)),
      onDraining() {},
      onClose() {},
    },
    { role: 'agent', hello: { agentId: 'bench' } },
  ).start();
}

function sendWithoutEnd(stream: TunnelStream): void {
  const pump = () => {
    while (!stream.isClosed && stream.write(chunk));
  };
  stream.attach({ onData() {}, onEnd() {}, onDrain: pump, onClose() {} });
  stream.accept();
  pump();
}

function echo(stream: TunnelStream): void {
  stream.attach({
    onData(bytes) {
      stream.consumed(bytes.length);
      stream.write(bytes);
    },
    onEnd: () => stream.end(),
    onDrain() {},
    onClose() {},
  });
  stream.accept();
}

/** The server's end of a session. Resolves when it can open streams. */
export function openSession(transport: Transport): Promise<Session> {
  return new Promise((resolve, reject) => {
    const session: Session = new Session(
      transport,
      {
        onHello: () => resolve(session),
        onOpen() {},
        onDraining() {},
        onClose: (error) => reject(error ?? new Error('the session ended')),
      },
      { role: 'server', hello: { serverId: 'bench' } },
    ).start();
  });
}

/** Running streams and their count. `stop` ends them. */
export interface Running {
  count: number;
  stop(): void;
}

/** Reads from `source` and counts bytes. */
export function readBulk(session: Session, streams: number): Running {
  const running: Running = { count: 0, stop: () => session.close() };
  for (let i = 0; i < streams; i++) {
    const stream: TunnelStream = session.open(
      { host: 'source', port: 1 },
      {
        onData(bytes) {
          running.count += bytes.length;
          stream.consumed(bytes.length);
        },
        onEnd() {},
        onDrain() {},
        onClose() {},
      },
    );
  }
  return running;
}

/** Sends messages to `echo` and counts their echoes. */
export function exchangeMessages(session: Session, streams: number): Running {
  const running: Running = { count: 0, stop: () => session.close() };
  for (let i = 0; i < streams; i++) {
    let missing = messageBytes;
    const send = () => {
      missing = messageBytes;
      stream.write(message);
    };
    const stream: TunnelStream = session.open(
      { host: 'echo', port: 1 },
      {
        onOpened: send,
        onData(bytes) {
          stream.consumed(bytes.length);
          missing -= bytes.length;
          if (missing > 0) return;
          running.count++;
          send();
        },
        onEnd() {},
        onDrain() {},
        onClose() {},
      },
    );
  }
  return running;
}
