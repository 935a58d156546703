/** The entry point of `fairlead`. */
import { runFairlead } from './fairlead.ts';

// Not awaited: a bundle of CommonJS, which V8's code cache needs, has no top-level await.
void runFairlead(process.argv.slice(2));
