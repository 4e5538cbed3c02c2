import { availableParallelism } from 'node:os';
import { registerGraphExecutor } from '../graph/forward.js';
import { createEngine } from './index.js';

// `operation.forward` and `graph.forward` need an engine; it is made when the first of them is called.
registerGraphExecutor(() => createEngine({ threads: availableParallelism() }));
