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
  LEADS_SILENCE: ''
  LEADS_ALERTS: ''
  LEADS_ROUTES: ''
  LEADS_FLOOD: ''
  LEADS_URL: ''
  LEADS_OWN_DOMAINS: ''
  LEADS_LANGUAGE: ''
  LEADS_TIME_ZONE: ''

  OPERATORS_TENANT_ID: ''
  OPERATORS_CLIENT_ID: ''
  OPERATORS_FEDERATED: ''
  OPERATORS_MANAGED_IDENTITY_CLIENT_ID: ''
  OPERATORS_AUTHORITY: ''
  OPERATORS_ALLOW: ''
  OPERATORS_KEY: ''

  PARTNER_CENTER_TENANT_ID: ''
  PARTNER_CENTER_CLIENT_ID: ''
  PARTNER_CENTER_FEDERATED: ''
  PARTNER_CENTER_MANAGED_IDENTITY_CLIENT_ID: ''
  PARTNER_CENTER_AUTHORITY: ''
  PARTNER_CENTER_URL: ''
  PARTNER_CENTER_API_VERSION: ''
  PARTNER_CENTER_PUBLISHER: ''

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

  FOLLOW_UP_MAILBOX: ''
  FOLLOW_UP_SELLER: ''
  FOLLOW_UP_TEMPLATES: ''
  FOLLOW_UP_GRAPH_URL: ''
  FOLLOW_UP_GRAPH_TENANT_ID: ''
  FOLLOW_UP_GRAPH_CLIENT_ID: ''
  FOLLOW_UP_GRAPH_FEDERATED: ''
  FOLLOW_UP_GRAPH_AUTHORITY: ''

  HUBSPOT_API_VERSION: ''
  HUBSPOT_KEY: ''
  HUBSPOT_LIFECYCLE_STAGE: ''
  HUBSPOT_DO_NOT_CONTACT: ''
  HUBSPOT_OPT_OUT: ''
  HUBSPOT_FIELDS: ''
  HUBSPOT_ACCOUNT: ''
  HUBSPOT_URL: ''

  MARKETO_MUNCHKIN_ID: ''
  MARKETO_CLIENT_ID: ''
  MARKETO_MODE: ''
  MARKETO_FORM_ID: ''
  MARKETO_PARTITION: ''
  MARKETO_ACTIVITY_TYPE_ID: ''
  MARKETO_FIELDS: ''
  MARKETO_APP_URL: ''
  MARKETO_URL: ''

  SALESFORCE_URL: ''
  SALESFORCE_CLIENT_ID: ''
  SALESFORCE_USERNAME: ''
  SALESFORCE_API_VERSION: ''
  SALESFORCE_LEAD_KEY: ''
  SALESFORCE_STEP_KEY: ''
  SALESFORCE_FIELDS: ''
  SALESFORCE_MODE: ''
  SALESFORCE_OID: ''
}

// The secret settings that this deployment has. Take the slashes away from those you need, and give each its value once,
// in an environment variable of the same name, when you run deploy.sh. It is kept in the Key Vault; later runs need it
// only when it changes.
param secretSettings = [
  // 'OPERATORS_CLIENT_SECRET'
  // 'OPERATORS_CERTIFICATE'
  // 'PARTNER_CENTER_CLIENT_SECRET'
  // 'PARTNER_CENTER_CERTIFICATE'
  // 'DYNAMICS_CLIENT_SECRET'
  // 'DYNAMICS_CERTIFICATE'
  // 'EMAIL_SMTP_URL'
  // 'EMAIL_GRAPH_CLIENT_SECRET'
  // 'EMAIL_GRAPH_CERTIFICATE'
  // 'FOLLOW_UP_GRAPH_CLIENT_SECRET'
  // 'FOLLOW_UP_GRAPH_CERTIFICATE'
  // 'HUBSPOT_TOKEN'
  // 'MARKETO_CLIENT_SECRET'
  // 'SALESFORCE_CLIENT_SECRET'
  // 'SALESFORCE_PRIVATE_KEY'
  // 'TEAMS_WEBHOOK_URL'
]

param secrets = {
  OPERATORS_CLIENT_SECRET: readEnvironmentVariable('OPERATORS_CLIENT_SECRET', '')
  OPERATORS_CERTIFICATE: readEnvironmentVariable('OPERATORS_CERTIFICATE', '')
  PARTNER_CENTER_CLIENT_SECRET: readEnvironmentVariable('PARTNER_CENTER_CLIENT_SECRET', '')
  PARTNER_CENTER_CERTIFICATE: readEnvironmentVariable('PARTNER_CENTER_CERTIFICATE', '')
  DYNAMICS_CLIENT_SECRET: readEnvironmentVariable('DYNAMICS_CLIENT_SECRET', '')
  DYNAMICS_CERTIFICATE: readEnvironmentVariable('DYNAMICS_CERTIFICATE', '')
  EMAIL_SMTP_URL: readEnvironmentVariable('EMAIL_SMTP_URL', '')
  EMAIL_GRAPH_CLIENT_SECRET: readEnvironmentVariable('EMAIL_GRAPH_CLIENT_SECRET', '')
  EMAIL_GRAPH_CERTIFICATE: readEnvironmentVariable('EMAIL_GRAPH_CERTIFICATE', '')
  FOLLOW_UP_GRAPH_CLIENT_SECRET: readEnvironmentVariable('FOLLOW_UP_GRAPH_CLIENT_SECRET', '')
  FOLLOW_UP_GRAPH_CERTIFICATE: readEnvironmentVariable('FOLLOW_UP_GRAPH_CERTIFICATE', '')
  HUBSPOT_TOKEN: readEnvironmentVariable('HUBSPOT_TOKEN', '')
  MARKETO_CLIENT_SECRET: readEnvironmentVariable('MARKETO_CLIENT_SECRET', '')
  SALESFORCE_CLIENT_SECRET: readEnvironmentVariable('SALESFORCE_CLIENT_SECRET', '')
  SALESFORCE_PRIVATE_KEY: readEnvironmentVariable('SALESFORCE_PRIVATE_KEY', '')
  TEAMS_WEBHOOK_URL: readEnvironmentVariable('TEAMS_WEBHOOK_URL', '')
}
