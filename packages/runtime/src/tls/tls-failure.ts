/** Why a TLS connection failed: OpenSSL's own texts name its source files and not the cause. */

const plainHttp = 'the peer sent plain HTTP to a port that needs TLS: use https://';
const notTls = 'the peer does not speak TLS';
const noVersion = 'the two sides share no TLS version; see --tls-min-version';
const noCipher = 'the two sides share no cipher suite; see --cipher-suites';
const noProtocol = 'the peer offers no protocol that is served here (ALPN)';

/** By the end of Node's code, since OpenSSL's versions spell the beginning differently. */
const explanations: readonly (readonly [ending: RegExp, text: string])[] = [
  [/_HTTPS?(_PROXY)?_REQUEST$/, plainHttp],
  [/_(WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|RECORD_LAYER_FAILURE)$/, notTls],
  [/_(UNSUPPORTED_PROTOCOL|VERSION_TOO_LOW|ALERT_PROTOCOL_VERSION)$/, noVersion],
  [/_(NO_SHARED_CIPHER|NO_CIPHERS_AVAILABLE)$/, noCipher],
  [/_ALERT_HANDSHAKE_FAILURE$/, `${noCipher} (handshake failure)`],
  [/_NO_APPLICATION_PROTOCOL$/, noProtocol],
  [/^ERR_TLS_HANDSHAKE_TIMEOUT$/, 'the TLS handshake was not complete in time'],
];

const certificateAlert = /_ALERT_(.*CERTIFICATE.*|UNKNOWN_CA|ACCESS_DENIED)$/;

/** `…:error:0A000410:SSL routines:ssl3_read_bytes:sslv3 alert handshake failure:../deps/…` */
const openSslText = /error:[0-9A-F]+:[^:]*:[^:]*:([^:]+)/;

/** Whether the peer sent bytes that are not TLS. */
export const isPlaintext = (error: NodeJS.ErrnoException): boolean =>
  [plainHttp, notTls].includes(explainTlsFailure(error));

/** Explains the failure of a TLS connection in a few words, without OpenSSL's text. */
export function explainTlsFailure(error: NodeJS.ErrnoException): string {
  const { message } = error;
  const reason = openSslText.exec(message)?.[1]?.trim();
  // Some clients report EPROTO, and the reason only in the text.
  const code = error.code === 'EPROTO' && reason ? codeOf(reason) : (error.code ?? '');
  const [, known] = explanations.find(([ending]) => ending.test(code)) ?? [];
  if (known !== undefined) return known;
  const alert = certificateAlert.exec(code)?.[1];
  if (alert !== undefined) {
    return `the peer refused this side's certificate (${words(alert)})`;
  }
  return reason === undefined ? message : `${reason} (${code})`;
}

const codeOf = (reason: string): string => `ERR_SSL_${reason.toUpperCase().replaceAll(' ', '_')}`;

const words = (name: string): string => name.replaceAll('_', ' ').toLowerCase();
