import { type ErrorCode, errorTable } from '@fairlead/protocol';

const head = `# Error codes

This page is generated from the table in packages/protocol/src/wire/errors.ts (\`npm run docs\`).

A front end answers a CONNECT that fails with the status below, the headers \`fairlead-error: CODE\` and
\`fairlead-error-detail\`, and a body of one line: what failed, where (at the server, the agent or the target), and
after how long. In HTTP/1.1 the status line also contains code and detail. [troubleshooting.md](troubleshooting.md)
lists causes and cures. Match on the code, because the texts can change. "Elsewhere" says whether the server retries the dial on another agent, if
there is one. OPEN_FAILED, RESET and GOAWAY carry the number ([spec.md](spec.md), section 9).

| code | status | elsewhere | number | meaning |
| --- | --- | --- | --- | --- |
`;

export function errorDocs(): string {
  const rows = Object.keys(errorTable).map((code) => {
    const { wire, httpStatus, retryElsewhere, message } = errorTable[code as ErrorCode];
    return `| \`${code}\` | ${httpStatus} | ${retryElsewhere ? 'yes' : ''} | ${wire} | ${message} |\n`;
  });
  return head + rows.join('');
}
