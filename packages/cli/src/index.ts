export { errorDocs } from './error-docs.ts';
