// Everything that the app needs, in one resource group. Inline resources only: nothing is fetched to compile it.
// Checked for syntax, names and properties; never compiled or deployed by its authors. See README.md beside this file.
targetScope = 'resourceGroup'

@description('Where everything is created. Flex Consumption must exist there: az functionapp list-flexconsumption-locations.')
param location string = resourceGroup().location

@description('Start of every name: a letter, then letters and digits, all in lower case. A hash of the resource group is put behind it.')
@minLength(2)
@maxLength(8)
param name string = 'leads'

@description('Tags of every resource.')
param tags object = {}

@description('Settings of the app by name, as docs/settings.md lists them; all values are text, an empty one counts as not set. Secrets do not belong here. What Azure itself dictates (storage, telemetry, inbox) is set by the template.')
param settings object = {}

@description('Names of the settings that are secrets and that the app shall have. Each becomes a Key Vault reference.')
param secretSettings string[] = []

@description('Values of secret settings by name. One that is empty or missing leaves the secret in the vault as it is, so values are needed once, and again when they change.')
@secure()
param secrets object = {}

@description('The tables that Microsoft writes leads to. Partner Center asks for a connection string only: the name is Microsoft\'s.')
@minLength(1)
param inboxTables string[] = ['MarketplaceLeads']

@description('Days until a lead, its attempts and its raw bytes are purged.')
@minValue(1)
@maxValue(36500)
param retentionDays int = 365

@description('How storage is copied. LRS: three copies in one datacenter. ZRS: over three datacenters of the region, where the region has them. GRS, GZRS: also to another region.')
@allowed(['Standard_LRS', 'Standard_ZRS', 'Standard_GRS', 'Standard_GZRS'])
param storageSku string = 'Standard_LRS'

@description('Most instances that may run at once: the upper bound of cost under a flood. Each makes one delivery at a time, and Dynamics takes 52 requests of one user at a time: keep it under 52 with Dynamics.')
@minValue(40)
@maxValue(1000)
param maximumInstances int = 40

@description('Memory of an instance in MB. The app needs 512; more is only faster and dearer.')
@allowed([512, 2048, 4096])
param instanceMemory int = 512

@description('Instances that are always ready to answer HTTPS: 0 is free and starts cold, 1 costs about 5 US dollars a month and answers at once.')
@minValue(0)
@maxValue(20)
param alwaysReadyHttp int = 0

@description('Whom Azure Monitor tells when leads are in trouble. Empty: no alert rule is created.')
param alertEmail string = ''

@description('How often the alert rules look. Azure charges less for looking less often.')
@allowed(['PT5M', 'PT10M', 'PT15M'])
param alertEvery string = 'PT15M'

@description('After how long a silence of the watch is an alert. Longer than the pause of LEADS_WATCH_SCHEDULE.')
@allowed(['PT15M', 'PT30M', 'PT1H', 'PT2H'])
param watchSilence string = 'PT15M'

@description('Gigabytes of logs a day after which logging stops until the next day: the upper bound of its cost. Leads do not depend on logs.')
@minValue(1)
@maxValue(100)
param logsDailyCapGb int = 1

@description('Days that logs are kept. They hold no personal data.')
@minValue(30)
@maxValue(730)
param logsRetentionDays int = 90

@description('Purge protection of the Key Vault. It cannot be switched off again, and a removed vault then keeps its name for 90 days.')
param vaultPurgeProtection bool = false

var suffix = uniqueString(resourceGroup().id, name)

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: '${name}-${suffix}'
  location: location
  tags: tags
}

module state 'modules/state.bicep' = {
  name: 'state'
  params: {
    location: location
    tags: tags
    accountName: '${name}state${take(suffix, 10)}'
    sku: storageSku
    retentionDays: retentionDays
    principalId: identity.properties.principalId
  }
}

module inbox 'modules/inbox.bicep' = {
  name: 'inbox'
  params: {
    location: location
    tags: tags
    accountName: '${name}inbox${take(suffix, 10)}'
    sku: storageSku
    tables: inboxTables
    principalId: identity.properties.principalId
  }
}

module vault 'modules/vault.bicep' = {
  name: 'vault'
  params: {
    location: location
    tags: tags
    vaultName: '${name}-${suffix}'
    secrets: secrets
    purgeProtection: vaultPurgeProtection
    principalId: identity.properties.principalId
  }
}

module monitoring 'modules/monitoring.bicep' = {
  name: 'monitoring'
  params: {
    location: location
    tags: tags
    resourceName: '${name}-${suffix}'
    dailyCapGb: logsDailyCapGb
    retentionDays: logsRetentionDays
    principalId: identity.properties.principalId
  }
}

module alerts 'modules/alerts.bicep' = if (!empty(alertEmail)) {
  name: 'alerts'
  params: {
    location: location
    tags: tags
    prefix: name
    email: alertEmail
    every: alertEvery
    watchSilence: watchSilence
    insightsId: monitoring.outputs.insightsId
  }
}

module app 'modules/app.bicep' = {
  name: 'app'
  params: {
    location: location
    tags: tags
    appName: '${name}-${suffix}'
    identityId: identity.id
    identityClientId: identity.properties.clientId
    stateAccount: state.outputs.accountName
    deploymentContainerUrl: state.outputs.deploymentContainerUrl
    inboxAccount: inbox.outputs.accountName
    inboxTables: inboxTables
    retentionDays: retentionDays
    vaultName: vault.outputs.vaultName
    insightsConnectionString: monitoring.outputs.connectionString
    settings: settings
    secretSettings: secretSettings
    maximumInstances: maximumInstances
    instanceMemory: instanceMemory
    alwaysReadyHttp: alwaysReadyHttp
  }
}

@description('The function app.')
output functionApp string = app.outputs.appName

@description('The URL for Partner Center, without its key: deploy.sh prints the whole one.')
output leadUrl string = 'https://${app.outputs.hostName}/api/leads'

@description('The storage account whose connection string goes to Partner Center.')
output inboxAccount string = inbox.outputs.accountName

@description('Resource id of that storage account.')
output inboxAccountId string = inbox.outputs.accountId

@description('The storage account that holds the leads.')
output stateAccount string = state.outputs.accountName

@description('Client id of the app\'s identity: register it as application user in Dynamics.')
output identityClientId string = identity.properties.clientId

@description('Object id of the app\'s identity: the subject of a federated credential, for Dynamics in another tenant.')
output identityObjectId string = identity.properties.principalId

@description('The vault with the secret settings.')
output vault string = vault.outputs.vaultName

@description('Whether Azure Monitor tells anybody.')
output alerted bool = !empty(alertEmail)
