import { runFairlead } from './fairlead.ts';

// Not awaited, because V8's code cache needs CommonJS, which has no top-level await.
void runFairlead(process.argv.slice(2));
