// The one place to say what a deployment shall be. Copy it to a file named like the resource group, beside this one, edit
// that, and run infra/deploy.sh again. Settings left empty count as not set; docs/settings.md explains each. Secrets are
// never written here, see below.
using 'main.bicep'

param name = 'leads'

// Whom Azure Monitor tells when leads are in trouble. Without an address nobody is told.
param alertEmail = ''

// 1: HTTPS calls are answered without a cold start, for about 5 US dollars a month. See docs/which-way-in.md.
param alwaysReadyHttp = 0

param retentionDays = 365
param inboxTables = ['MarketplaceLeads']

param settings = {
  LEADS_BACKFILL_DAYS: ''
  LEADS_WATCH_SCHEDULE: ''
  LEADS_SWEEP_SCHEDULE: ''
  LEADS_DESTINATIONS: 'console' // for example 'dynamics,email,teams'
  LEADS_TEST_LEADS: ''
  LEADS_STAGES: ''
  LEADS_RETRY_SCHEDULE: ''
  LEADS_ALERTS: ''
  LEADS_ROUTES: ''
  LEADS_FLOOD: ''
  LEADS_URL: ''
  LEADS_OWN_DOMAINS: ''
  LEADS_LANGUAGE: ''
  LEADS_TIME_ZONE: ''

  DYNAMICS_URL: '' // https://contoso.crm4.dynamics.com
  DYNAMICS_TENANT_ID: ''
  DYNAMICS_CLIENT_ID: ''
  DYNAMICS_FEDERATED: ''
  DYNAMICS_AUTHORITY: ''
  DYNAMICS_LEAD_SOURCE_CODE: ''
  DYNAMICS_OWNER: ''
  DYNAMICS_FOLLOW_UP: ''
  DYNAMICS_MATCH: ''
  DYNAMICS_FIELDS: ''

  EMAIL_TO: ''
  EMAIL_FROM: ''
  EMAIL_GRAPH_SENDER: ''
  EMAIL_GRAPH_URL: ''
  EMAIL_GRAPH_TENANT_ID: ''
  EMAIL_GRAPH_CLIENT_ID: ''
  EMAIL_GRAPH_FEDERATED: ''
  EMAIL_GRAPH_AUTHORITY: ''
  EMAIL_DIGEST: ''
  EMAIL_DIGEST_TIME_ZONE: ''
}

// The secret settings that this deployment has. Take the slashes away from those you need, and give each its value once,
// in an environment variable of the same name, when you run deploy.sh. It is kept in the Key Vault; later runs need it
// only when it changes.
param secretSettings = [
  // 'DYNAMICS_CLIENT_SECRET'
  // 'DYNAMICS_CERTIFICATE'
  // 'EMAIL_SMTP_URL'
  // 'EMAIL_GRAPH_CLIENT_SECRET'
  // 'EMAIL_GRAPH_CERTIFICATE'
  // 'TEAMS_WEBHOOK_URL'
]

param secrets = {
  DYNAMICS_CLIENT_SECRET: readEnvironmentVariable('DYNAMICS_CLIENT_SECRET', '')
  DYNAMICS_CERTIFICATE: readEnvironmentVariable('DYNAMICS_CERTIFICATE', '')
  EMAIL_SMTP_URL: readEnvironmentVariable('EMAIL_SMTP_URL', '')
  EMAIL_GRAPH_CLIENT_SECRET: readEnvironmentVariable('EMAIL_GRAPH_CLIENT_SECRET', '')
  EMAIL_GRAPH_CERTIFICATE: readEnvironmentVariable('EMAIL_GRAPH_CERTIFICATE', '')
  TEAMS_WEBHOOK_URL: readEnvironmentVariable('TEAMS_WEBHOOK_URL', '')
}
