// Every tool, one line each. The catalog, the gateway's tool list and the docs come from here.
import type { Tool } from '../define-tool.ts'
import confirmAction from './all/confirm_action.ts'
import getOperation from './all/get_operation.ts'
import listTrash from './all/list_trash.ts'
import previewUndo from './all/preview_undo.ts'
import undo from './all/undo.ts'
import getProfile from './profile/get_profile.ts'
import listMyActivity from './profile/list_my_activity.ts'
import whoami from './profile/whoami.ts'
import createDatabase from './databases/create_database.ts'
import createTable from './databases/create_table.ts'
import deleteDatabase from './databases/delete_database.ts'
import describeTables from './databases/describe_tables.ts'
import getDatabase from './databases/get_database.ts'
import insertRows from './databases/insert_rows.ts'
import listDatabases from './databases/list_databases.ts'
import listRows from './databases/list_rows.ts'
import previewDeleteDatabase from './databases/preview_delete_database.ts'
import removeRows from './databases/remove_rows.ts'
import restoreDatabaseToNew from './databases/restore_database_to_new.ts'
import rotateDatabasePassword from './databases/rotate_database_password.ts'
import runReadQuery from './databases/run_read_query.ts'
import setDatabaseLimits from './databases/set_database_limits.ts'
import updateRows from './databases/update_rows.ts'
import addDomain from './domains/add_domain.ts'
import checkDomain from './domains/check_domain.ts'
import deleteDomain from './domains/delete_domain.ts'
import getDomain from './domains/get_domain.ts'
import listDomains from './domains/list_domains.ts'
import previewDeleteDomain from './domains/preview_delete_domain.ts'
import verifyDomain from './domains/verify_domain.ts'
import deleteDnsRecords from './dns/delete_dns_records.ts'
import diffDnsVersions from './dns/diff_dns_versions.ts'
import listDnsRecords from './dns/list_dns_records.ts'
import listDnsVersions from './dns/list_dns_versions.ts'
import previewDeleteDnsRecords from './dns/preview_delete_dns_records.ts'
import restoreDnsVersion from './dns/restore_dns_version.ts'
import setDnsRecords from './dns/set_dns_records.ts'
import getDnssec from './dns/get_dnssec.ts'
import signDomain from './dns/sign_domain.ts'
import unsignDomain from './dns/unsign_domain.ts'

export const tools: readonly Tool[] = [
  confirmAction,
  getOperation,
  listTrash,
  previewUndo,
  undo,
  getProfile,
  listMyActivity,
  whoami,
  createDatabase,
  createTable,
  deleteDatabase,
  describeTables,
  getDatabase,
  insertRows,
  listDatabases,
  listRows,
  previewDeleteDatabase,
  removeRows,
  restoreDatabaseToNew,
  rotateDatabasePassword,
  runReadQuery,
  setDatabaseLimits,
  updateRows,
  addDomain,
  checkDomain,
  deleteDomain,
  getDomain,
  listDomains,
  previewDeleteDomain,
  verifyDomain,
  deleteDnsRecords,
  diffDnsVersions,
  listDnsRecords,
  listDnsVersions,
  previewDeleteDnsRecords,
  restoreDnsVersion,
  setDnsRecords,
  getDnssec,
  signDomain,
  unsignDomain,
]
