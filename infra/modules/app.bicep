// The function app on a Flex Consumption plan: no key and no secret among its settings.

@description('Where it is created.')
param location string

@description('Tags of every resource.')
param tags { *: string }

@description('Name of the function app and of its plan.')
param appName string

@description('Resource id of the app\'s identity.')
param identityId string

@description('Client id of the app\'s identity.')
param identityClientId string

@description('The storage account that holds the leads.')
param stateAccount string

@description('URL of the container for the deployed code.')
param deploymentContainerUrl string

@description('The storage account that Microsoft writes to.')
param inboxAccount string

@description('The tables that Microsoft writes to.')
param inboxTables string[]

@description('Days until a lead is purged.')
param retentionDays int

@description('The vault with the secret settings.')
param vaultName string

@description('Where telemetry goes.')
param insightsConnectionString string

@description('Settings of the app by name. An empty one is left out.')
param settings { *: string }

@description('Names of the settings that have their values in the vault.')
param secretSettings string[]

@description('Most instances that may run at once.')
param maximumInstances int

@description('Memory of an instance in MB.')
param instanceMemory int

@description('Instances that are always ready to answer HTTPS.')
param alwaysReadyHttp int

var givenSettings = toObject(filter(items(settings), item => !empty(item.value)), item => item.key, item => item.value)

// Without a version: a new value of the secret is taken up within 24 hours, or at once after a change of settings.
var secretReferences = toObject(
  secretSettings,
  setting => setting,
  setting => '@Microsoft.KeyVault(VaultName=${vaultName};SecretName=${replace(setting, '_', '-')})'
)

// Destinations sign in as the app's identity wherever they are given no secret and no certificate.
var identitySettings = {
  DYNAMICS_MANAGED_IDENTITY_CLIENT_ID: identityClientId
  EMAIL_GRAPH_MANAGED_IDENTITY_CLIENT_ID: identityClientId
  FOLLOW_UP_GRAPH_MANAGED_IDENTITY_CLIENT_ID: identityClientId
}

// The host reads a whole body before any function sees it, by default 100 MiB, on the page's anonymous route too. No
// caller has more than 4 MiB to send (the operators' API).
// The worker has a thread for each of the 24 deliveries that host.json lets an instance make at once, and some more for
// whatever else may run beside them. Left to itself it has cores + 4.
var platformSettings = {
  PYTHON_THREADPOOL_THREAD_COUNT: '32'
  FUNCTIONS_REQUEST_BODY_SIZE_LIMIT: '5242880'
  AzureWebJobsStorage__accountName: stateAccount
  AzureWebJobsStorage__credential: 'managedidentity'
  AzureWebJobsStorage__clientId: identityClientId
  APPLICATIONINSIGHTS_CONNECTION_STRING: insightsConnectionString
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identityClientId};Authorization=AAD'
  LEADS_INBOX__accountName: inboxAccount
  LEADS_INBOX__clientId: identityClientId
  LEADS_INBOX_TABLES: join(inboxTables, ',')
  LEADS_RETENTION_DAYS: string(retentionDays)
}

resource plan 'Microsoft.Web/serverfarms@2024-11-01' = {
  name: appName
  location: location
  tags: tags
  kind: 'functionapp'
  sku: {
    name: 'FC1'
    tier: 'FlexConsumption'
  }
  properties: {
    reserved: true
  }
}

resource app 'Microsoft.Web/sites@2024-11-01' = {
  name: appName
  location: location
  tags: union(tags, { 'azd-service-name': 'leads' })
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identityId}': {}
    }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    publicNetworkAccess: 'Enabled'
    keyVaultReferenceIdentity: identityId
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: deploymentContainerUrl
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identityId
          }
        }
      }
      runtime: {
        name: 'python'
        version: loadJsonContent('../runtime.json').python
      }
      scaleAndConcurrency: {
        maximumInstanceCount: maximumInstances
        instanceMemoryMB: instanceMemory
        alwaysReady: alwaysReadyHttp == 0 ? [] : [{ name: 'http', instanceCount: alwaysReadyHttp }]
      }
    }
    siteConfig: {
      minTlsVersion: '1.2'
      appSettings: map(items(union(identitySettings, givenSettings, secretReferences, platformSettings)), setting => {
        name: setting.key
        value: setting.value
      })
    }
  }
}

// Code is published with an Entra token. No password opens the publishing endpoints.
resource ftpPublishing 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-11-01' = {
  parent: app
  name: 'ftp'
  properties: {
    allow: false
  }
}

resource scmPublishing 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-11-01' = {
  parent: app
  name: 'scm'
  properties: {
    allow: false
  }
}

@description('Name of the function app.')
output appName string = app.name

@description('Resource id of the function app.')
output appId string = app.id

@description('Host name of the function app.')
output hostName string = app.properties.defaultHostName
