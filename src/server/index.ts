/** What `atb-models/server` gives: servers of one's own. The main entry leaves them out, because few programs need HTTP. */
export { createServer, type Server, type ServerOptions } from './app.js';
export {
  type Served,
  type ServedEmbedder,
  type ServedModel,
  type ServedReranker,
  serveModel,
} from './served-model.js';
