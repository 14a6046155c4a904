// For the Azure Developer CLI, which deploys a subscription and no resource group: makes the group, and the rest is
// main.bicep. Its parameters are those of main.bicepparam, taken over as a whole by azd.bicepparam.
targetScope = 'subscription'

@description('Name of the environment of azd, and of the resource group.')
param environmentName string

@description('Where everything is created.')
param location string

@description('The parameters of main.bicep by name, without its secrets.')
#disable-next-line use-user-defined-types // main.bicep has the types and checks them
param main object

@description('Values of secret settings by name.')
@secure()
param secrets { *: string }

resource group 'Microsoft.Resources/resourceGroups@2025-04-01' = {
  name: environmentName
  location: location
  tags: {
    'azd-env-name': environmentName
  }
}

module leads 'main.bicep' = {
  scope: group
  params: {
    location: location
    name: main.?name
    tags: main.?tags
    settings: main.?settings
    secretSettings: main.?secretSettings
    secrets: secrets
    inboxTables: main.?inboxTables
    retentionDays: main.?retentionDays
    storageSku: main.?storageSku
    maximumInstances: main.?maximumInstances
    instanceMemory: main.?instanceMemory
    alwaysReadyHttp: main.?alwaysReadyHttp
    alertEmail: main.?alertEmail
    monthlyBudget: main.?monthlyBudget
    monthlyBudgetFrom: main.?monthlyBudgetFrom
    alertEvery: main.?alertEvery
    watchSilence: main.?watchSilence
    logsDailyCapGb: main.?logsDailyCapGb
    logsRetentionDays: main.?logsRetentionDays
    vaultPurgeProtection: main.?vaultPurgeProtection
    packageUri: main.?packageUri
  }
}

@description('The first thing to do next, in words.')
output nextConnect string = leads.outputs.nextConnect

@description('The second thing to do next, in words.')
output nextTestLead string = leads.outputs.nextTestLead

@description('The third thing to do next, in words.')
output nextPage string = leads.outputs.nextPage

@description('The function app.')
output functionApp string = leads.outputs.functionApp

@description('The URL for Partner Center, without its key: deploy.sh prints the whole one.')
output leadUrl string = leads.outputs.leadUrl

@description('The storage account that Microsoft writes to; its connection string goes to Partner Center.')
output inboxAccount string = leads.outputs.inboxAccount

@description('Resource id of that storage account.')
output inboxAccountId string = leads.outputs.inboxAccountId

@description('Last part of the connection string for Partner Center.')
output inboxEndpointSuffix string = leads.outputs.inboxEndpointSuffix

@description('The storage account that holds the leads.')
output stateAccount string = leads.outputs.stateAccount

@description('Client id of the app\'s identity: register it as application user in Dynamics.')
output identityClientId string = leads.outputs.identityClientId

@description('Object id of the app\'s identity: the subject of a federated credential, for Dynamics in another tenant.')
output identityObjectId string = leads.outputs.identityObjectId

@description('The vault with the secret settings.')
output vault string = leads.outputs.vault

@description('Whether Azure Monitor tells anybody.')
output alerted bool = leads.outputs.alerted
