// Everything that the app needs, in one resource group. Inline resources only: nothing is fetched to compile it.
// Compiled to main.json beside this file, and never deployed by its authors: README.md says what was checked by what.
targetScope = 'resourceGroup'

import { isPackage } from 'modules/package.bicep'

@description('Where everything is created. Flex Consumption must exist there: az functionapp list-flexconsumption-locations.')
param location string = resourceGroup().location

@description('Start of every name: a letter, then letters and digits, all in lower case. A hash of the resource group is put behind it.')
@minLength(2)
@maxLength(8)
param name string = 'leads'

@description('Tags of every resource.')
param tags { *: string } = {}

@description('Settings of the app by name, as docs/settings.md lists them; all values are text, an empty one counts as not set. Secrets do not belong here. What Azure itself dictates (storage, telemetry, inbox) is set by the template.')
param settings { *: string } = {}

@description('Names of the settings that are secrets and that the app shall have. Each becomes a Key Vault reference. An empty name counts for nothing.')
param secretSettings string[] = []

@description('Values of secret settings by name. One that is empty or missing leaves the secret in the vault as it is, so values are needed once, and again when they change.')
@secure()
param secrets { *: string } = {}

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

@description('Instances that each group of functions may have at once. Azure counts per group and does not hold HTTP to it, so it is no limit of cost: monthlyBudget tells of cost. An instance serves a CRM one lead at a time, and Dynamics takes 52 requests of one user at a time: keep it under 52 with Dynamics.')
@minValue(40)
@maxValue(1000)
param maximumInstances int = 40

@description('Memory of an instance in MB. The app needs 512; more is only faster and dearer. Where Azure refuses 512, take 2048.')
@allowed([512, 2048, 4096])
param instanceMemory int = 512

@description('Instances that are always ready to answer HTTPS: 0 is free and starts cold, 1 costs about 5 US dollars a month and answers at once.')
@minValue(0)
@maxValue(20)
param alwaysReadyHttp int = 0

@description('Whom Azure Monitor tells when leads are in trouble. Empty: no alert rule is created.')
param alertEmail string = ''

@description('What a month may cost, in the currency of the subscription, before alertEmail hears of it: at 80 and at 100 percent, and when 100 are forecast. Nothing is stopped. 0: no budget is created.')
@minValue(0)
param monthlyBudget int = 0

@description('The month that the budget begins with, as its first day: 2026-12-01. The current month when the budget is created, and the same text ever after, since Azure refuses to move it.')
param monthlyBudgetFrom string = ''

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

@description('Address of the package to publish, as the page of a release links to it: https, ending in .zip. Empty: the code is left alone.')
param packageUri string = ''

@description('Whether every character of a text is one of the allowed ones, in lower or upper case.')
func only(text string, allowed string) bool =>
  empty(filter(range(0, length(text)), i => !contains(allowed, toLower(substring(text, i, 1)))))

@description('Whether a table of a storage account can have this name.')
func isTable(name string) bool =>
  length(name) >= 3 && length(name) <= 63 && toLower(name) != 'tables' && only(
    name,
    'abcdefghijklmnopqrstuvwxyz0123456789'
  ) && only(take(name, 1), 'abcdefghijklmnopqrstuvwxyz')

@description('Whether a text looks like one e-mail address.')
func isAddress(text string) bool =>
  length(split(text, '@')) == 2 && !empty(first(split(text, '@'))) && only(
    last(split(text, '@')),
    'abcdefghijklmnopqrstuvwxyz0123456789-.'
  ) && contains(last(split(text, '@')), '.') && empty(filter([' ', ',', ';', '<', '>'], c => contains(text, c)))

var declared = items(loadJsonContent('settings.json'))
var secretNames = flatten(map(declared, place => map(place.value.secret, field => '${place.key}_|_${field}')))
var plainNames = flatten(map(declared, place => map(place.value.plain, field => '${place.key}_|_${field}')))

@description('Length of the longest declared name that a setting has: DYNAMICS_CLIENT_SECRET, or DYNAMICS_EMEA_CLIENT_SECRET for the instance dynamics:emea. 0: none.')
func longest(name string, names string[]) int =>
  max(concat(
    [0],
    map(
      filter(names, each => startsWith(name, first(split(each, '|'))) && endsWith(name, last(split(each, '|')))),
      each => length(each)
    )
  ))

@description('Whether a setting is a secret, of a destination or of an instance of it.')
func isSecret(name string, secretNames string[], plainNames string[]) bool =>
  longest(name, secretNames) > longest(name, plainNames)

var givenSecrets = filter(secretSettings, name => !empty(name))

var problems = concat(
  map(
    filter(inboxTables, name => !isTable(name)),
    name => 'inboxTables: no table can be called "${name}". Use 3 to 63 letters and digits, a letter first.'
  ),
  empty(alertEmail) || isAddress(alertEmail) ? [] : ['alertEmail: "${alertEmail}" is not an e-mail address.'],
  map(
    filter(givenSecrets, name => !isSecret(name, secretNames, plainNames)),
    name =>
      'secretSettings: the app has no secret setting ${name}. It has: ${replace(join(secretNames, ', '), '_|_', '_')}.'
  ),
  map(
    filter(items(settings), setting => !empty(setting.value) && isSecret(setting.key, secretNames, plainNames)),
    setting =>
      'settings: ${setting.key} is a secret. Delete it there, name it in secretSettings, and give its value in an environment variable.'
  ),
  monthlyBudget == 0 || !empty(alertEmail) ? [] : ['monthlyBudget: nobody would hear of it. Set alertEmail too.'],
  monthlyBudget == 0 || (length(monthlyBudgetFrom) == 10 && only(monthlyBudgetFrom, '0123456789-') && endsWith(
      monthlyBudgetFrom,
      '-01'
    ))
    ? []
    : ['monthlyBudgetFrom: say with which month the budget begins, such as 2026-12-01, and do not change it later.'],
  empty(packageUri) || isPackage(packageUri)
    ? []
    : ['packageUri: it is not the address of a package. It begins with https://, ends with .zip, and has no query.']
)

// Every name depends on it, so nothing is created while a parameter is wrong.
var suffix = empty(problems) ? uniqueString(resourceGroup().id, name) : fail(join(problems, ' '))

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: '${name}-${suffix}'
  location: location
  tags: tags
}

module state 'modules/state.bicep' = {
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
  params: {
    location: location
    tags: tags
    vaultName: '${name}-${suffix}'
    secretSettings: givenSecrets
    secrets: secrets
    purgeProtection: vaultPurgeProtection
    principalId: identity.properties.principalId
  }
}

module monitoring 'modules/monitoring.bicep' = {
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
  params: {
    location: location
    tags: tags
    prefix: name
    email: alertEmail
    every: alertEvery
    watchSilence: watchSilence
    insightsId: monitoring.outputs.insightsId
    appId: app.outputs.appId
    page: 'https://${app.outputs.hostName}/api/page/'
    httpsWay: alwaysReadyHttp > 0
  }
}

resource budget 'Microsoft.Consumption/budgets@2024-08-01' = if (monthlyBudget > 0) {
  name: name
  properties: {
    category: 'Cost'
    amount: monthlyBudget
    timeGrain: 'Monthly'
    timePeriod: {
      startDate: monthlyBudgetFrom
    }
    notifications: {
      'most-of-it': {
        enabled: true
        thresholdType: 'Actual'
        operator: 'GreaterThanOrEqualTo'
        threshold: 80
        contactEmails: [alertEmail]
      }
      'all-of-it': {
        enabled: true
        thresholdType: 'Actual'
        operator: 'GreaterThanOrEqualTo'
        threshold: 100
        contactEmails: [alertEmail]
      }
      'more-is-expected': {
        enabled: true
        thresholdType: 'Forecasted'
        operator: 'GreaterThan'
        threshold: 100
        contactEmails: [alertEmail]
      }
    }
  }
}

module app 'modules/app.bicep' = {
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
    secretSettings: givenSecrets
    maximumInstances: maximumInstances
    instanceMemory: instanceMemory
    alwaysReadyHttp: alwaysReadyHttp
  }
}

// After the roles on the container that the code is copied to: the app has them before it is made.
module package 'modules/package.bicep' = if (!empty(packageUri)) {
  params: {
    appName: '${name}-${suffix}'
    packageUri: packageUri
  }
  dependsOn: [app]
}

@description('The first thing to do next, in words.')
output nextConnect string = 'Copy the connection string of key1: the storage account ${inbox.outputs.accountName} > Security + networking > Access keys (${environment().portal}/#resource${inbox.outputs.accountId}/keys). In Partner Center: Marketplace offers > the offer > Offer setup > Customer leads > Connect > Azure Table, and paste it.'

@description('The second thing to do next, in words.')
output nextTestLead string = 'Press Validate there: Partner Center writes a test lead into ${inbox.outputs.accountName}, and the app has it within two minutes. Then OK, Save draft, and publish the offer.'

@description('The third thing to do next, in words.')
output nextPage string = 'See it arrive: https://${app.outputs.hostName}/api/page/ asks for a key. Copy it from the function app ${app.outputs.appName} > Functions > ops > Function keys > default.'

@description('The function app.')
output functionApp string = app.outputs.appName

@description('The URL for Partner Center, without its key: deploy.sh prints the whole one.')
output leadUrl string = 'https://${app.outputs.hostName}/api/leads'

@description('The storage account that Microsoft writes to; its connection string goes to Partner Center.')
output inboxAccount string = inbox.outputs.accountName

@description('Resource id of that storage account.')
output inboxAccountId string = inbox.outputs.accountId

@description('Last part of the connection string for Partner Center.')
output inboxEndpointSuffix string = environment().suffixes.storage

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
