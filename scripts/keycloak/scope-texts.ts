// What a person reads before they let an app in: one sentence for each scope, for somebody who owns a shop and not a data centre.
// Data only. A test holds this file against SCOPES, so a scope without a sentence cannot be added.

/** The heading under which a domain's scopes stand on the consent page. */
export const DOMAIN_NAMES: Readonly<Record<string, string>> = {
  websites: 'Websites',
  domains: 'Domain names',
  databases: 'Databases',
  email: 'E-mail',
  dns: 'DNS records',
  ssl: 'Certificates',
  apps: 'Apps and containers',
  jobs: 'Scheduled jobs',
  packages: 'Software updates',
  files: 'Files',
  backups: 'Backups',
  commerce: 'Plan and orders',
  profile: 'Your profile',
}

export const SCOPE_TEXTS: Readonly<Record<string, string>> = {
  'websites:read': 'See your websites, their settings and their logs.',
  'websites:write': 'Create websites, install software such as WordPress on them, and change their settings.',
  'websites:delete': 'Delete websites with their files; a deleted website can be brought back for 30 days.',
  'domains:read': 'See your domain names and whether they point to your server.',
  'domains:write': 'Add domain names to your account and check that they are yours.',
  'domains:delete':
    'Remove domain names, so that the websites and mailboxes under them stop working; this can be undone for 30 days.',
  'databases:read': 'See your databases and read everything that is stored in them, such as customers and orders.',
  'databases:write': 'Create databases, add, change and remove the data in them, and give them new passwords.',
  'databases:delete': 'Delete whole databases with all their data; a deleted database can be brought back for 30 days.',
  'email:read': 'See your mailboxes, forwarding addresses and mail settings, but not the messages.',
  'email:write': 'Create mailboxes, change where mail is forwarded, and give mailboxes new passwords.',
  'email:delete':
    'Delete mailboxes with all messages in them; a deleted mailbox can be brought back for 30 days, mail that arrives meanwhile is lost.',
  'dns:read': 'See the DNS records that lead visitors and mail to your servers, with their history.',
  'dns:write': 'Change DNS records, which can lead your visitors and your mail to another server.',
  'dns:delete': 'Delete DNS records, so that a website or mail may no longer be found; this can be undone for 30 days.',
  'ssl:read': 'See the certificates of your websites and when they expire.',
  'ssl:write': 'Order and renew certificates and switch a website to another one.',
  'apps:read': 'See your apps, their settings and their logs.',
  'apps:write': 'Start, stop and update apps, and put new versions of them on your server.',
  'apps:delete': 'Delete apps with the data they keep; a deleted app can be brought back for 30 days.',
  'jobs:read': 'See which tasks run on a schedule, and how they ended.',
  'jobs:write': 'Create, change, pause and start tasks that run on a schedule.',
  'packages:read': 'See which software is installed on your server and which updates wait.',
  'packages:write': 'Install updates of the software on your server, or hold them back.',
  'files:read': 'See and read the files of your websites and apps, which may hold passwords.',
  'files:write': 'Upload, change, move and rename files, also the programs your websites run.',
  'files:delete': 'Delete files and folders; what was deleted can be brought back for 30 days.',
  'backups:read': 'See your backups and what is in them.',
  'backups:write': 'Make backups and bring back what is in them beside what is there now.',
  'commerce:read': 'See your plan, what you use of it, and your orders.',
  'commerce:write': 'Propose a change of your plan to you; it cannot order or pay anything.',
  'profile:read': 'See your user name, your account and what apps did in your name.',
  offline_access: 'Stay connected while you are away, until you disconnect it.',
}
