// Every parameter of the template with another value than its default: what such a deployment would create is in
// test_deployment.py.
using '../../infra/main.bicep'

param name = 'contoso'
param tags = { team: 'marketing' }
param settings = {
  LEADS_DESTINATIONS: 'dynamics,email,teams'
  LEADS_LANGUAGE: ''
  DYNAMICS_URL: 'https://contoso.crm4.dynamics.com'
  EMAIL_TO: 'sales@contoso.com'
}
param secretSettings = ['DYNAMICS_CLIENT_SECRET', 'EMAIL_EMEA_SMTP_URL', 'TEAMS_WEBHOOK_URL', '']
param secrets = {
  DYNAMICS_CLIENT_SECRET: readEnvironmentVariable('DYNAMICS_CLIENT_SECRET', '')
}
param inboxTables = ['MarketplaceLeads', 'OtherLeads']
param retentionDays = 30
param storageSku = 'Standard_ZRS'
param maximumInstances = 50
param instanceMemory = 2048
param alwaysReadyHttp = 1
param alertEmail = 'operations@contoso.com'
param monthlyBudget = 20
param monthlyBudgetFrom = '2026-12-01'
param alertEvery = 'PT5M'
param watchSilence = 'PT1H'
param logsDailyCapGb = 2
param logsRetentionDays = 60
param vaultPurgeProtection = true
param packageUri = 'https://example.com/releases/download/v1.2.3/released-package.zip'
