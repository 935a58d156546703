// For tests of this package; not stable.

export { ConnectAnswer, refusalOf } from './connect-answer.ts';
