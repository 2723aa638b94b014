// jest transformer: Node's own type stripping, so that tests run exactly what services run.
import { stripTypeScriptTypes } from 'node:module'
export default { process: (source) => ({ code: stripTypeScriptTypes(source) }) }
