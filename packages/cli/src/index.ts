export { errorDocs } from './error-docs.ts';
export { runFairlead } from './fairlead.ts';
