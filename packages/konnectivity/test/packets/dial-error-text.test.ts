import {
  dialErrorText,
  errorFromTrailers,
  GrpcError,
  goStatusName,
  grpcTrailers,
} from '@fairlead/konnectivity';
import { dialErrorFromText, parseAddress } from '@fairlead/konnectivity/internal';
import { TunnelError } from '@fairlead/protocol';
import t from 'tap';

t.test('translates Go’s error texts to codes', async (t) => {
  const codes: Record<string, string> = {
    'dial tcp 10.0.0.1:80: connect: connection refused': 'target_refused',
    'dial tcp 10.0.0.1:80: i/o timeout': 'dial_timeout',
    'dial tcp: lookup a.b on 10.0.0.10:53: no such host': 'dns_failed',
    'dial tcp: lookup a.b on 10.0.0.10:53: server misbehaving': 'dns_failed',
    'dial tcp 10.0.0.1:80: connect: no route to host': 'target_unreachable',
    'dial tcp 10.0.0.1:80: connect: network is unreachable': 'agent_failed',
    'dial tcp 10.0.0.1:80: socket: too many open files': 'agent_failed',
    'dial tcp 10.0.0.1:80: connect: cannot assign requested address': 'agent_failed',
    'lookup a.b on 10.0.0.10:53: dial udp 10.0.0.10:53: connect: network is unreachable':
      'agent_failed',
    'read tcp 10.0.0.1:80: connection reset by peer': 'target_reset',
    'dial tcp: address a: missing port in address': 'bad_target',
    'an unknown text': 'dial_failed',
  };
  for (const [text, code] of Object.entries(codes)) {
    t.match(dialErrorFromText(text), { code, message: text });
  }
  t.equal(dialErrorFromText('a\u0000\nb').message, 'a b', 'control characters are removed');
});

t.test('translates codes to the texts that Go’s peers match', async (t) => {
  t.equal(
    dialErrorText(new TunnelError('no_agent')),
    'No agent available: no agent serves this target',
  );
  t.match(dialErrorText(new TunnelError('backend_dial_timeout')), /^i\/o timeout: /);
  const own = 'dial tcp 127.0.0.1:1: connect: connection refused';
  t.equal(
    dialErrorText(new TunnelError('target_refused', own)),
    own,
    'a text that already matches is not changed',
  );
  for (const code of ['target_refused', 'dial_timeout', 'dns_failed'] as const) {
    t.equal(dialErrorFromText(dialErrorText(new TunnelError(code))).code, code);
  }
});

t.test('parses addresses', async (t) => {
  t.same(parseAddress('a.b:80'), { host: 'a.b', port: 80 });
  t.same(parseAddress('[fd00::1]:443'), { host: 'fd00::1', port: 443 });
  for (const wrong of ['', 'a', 'a:', ':80', 'a:0', 'a:65536', 'fd00::1:443', 'a:http']) {
    t.throws(() => parseAddress(wrong), { code: 'bad_target' }, wrong);
  }
});

t.test('reads and writes the status of a call', async (t) => {
  t.same(grpcTrailers(), { 'grpc-status': '0' });
  const error = new GrpcError('UNAVAILABLE', '100 % läuft\nnicht');
  const trailers = grpcTrailers(error);
  t.same(trailers, { 'grpc-status': '14', 'grpc-message': '100 %25 l%C3%A4uft nicht' });
  t.match(errorFromTrailers(trailers as Record<string, string>), {
    status: 'UNAVAILABLE',
    message: '100 % läuft nicht',
  });
  t.equal(errorFromTrailers({ 'grpc-status': '0' }), undefined);
  t.match(errorFromTrailers({}), { status: 'UNKNOWN' });
  t.match(errorFromTrailers({ 'grpc-status': '99', 'grpc-message': '%zz' }), {
    status: 'UNKNOWN',
    message: '%zz',
  });
  t.equal(goStatusName('CANCELLED'), 'Canceled');
  t.equal(goStatusName('DEADLINE_EXCEEDED'), 'DeadlineExceeded');
  t.equal(goStatusName('OK'), 'OK');
});
