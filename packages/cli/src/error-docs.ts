import { type ErrorCode, errorTable } from '@fairlead/protocol';

const head = `# Error codes

This page is generated from the table in packages/protocol/src/wire/errors.ts (\`npm run docs\`).

A front end answers a CONNECT that fails with the status below, a \`fairlead-error: CODE\` header, and a body
of one line: what failed, where (at the server, the agent or the target), and after how long. Match on the
code; the sentences may change. "Elsewhere" says whether the server tries the dial once more on another
agent, where there is one. The number is what travels in OPEN_FAILED, RESET and GOAWAY ([spec.md](spec.md),
section 9).

| code | status | elsewhere | number | meaning |
| --- | --- | --- | --- | --- |
`;

/** The text of docs/errors.md. */
export function errorDocs(): string {
  const rows = Object.keys(errorTable).map((code) => {
    const { wire, httpStatus, retryElsewhere, message } = errorTable[code as ErrorCode];
    return `| \`${code}\` | ${httpStatus} | ${retryElsewhere ? 'yes' : ''} | ${wire} | ${message} |\n`;
  });
  return head + rows.join('');
}
