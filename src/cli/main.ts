import { hideBin } from 'yargs/helpers';
import { atbModels } from './atb-models.js';
import { endWithReader, reportFailure } from './failure.js';

endWithReader();
await atbModels(hideBin(process.argv)).catch(reportFailure);
