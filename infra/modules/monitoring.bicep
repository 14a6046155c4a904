// Logs, and the workbook that shows what became of the leads. Telemetry is accepted from Entra identities only.

@description('Where it is created.')
param location string

@description('Tags of every resource.')
param tags { *: string }

@description('Name of the workspace and of Application Insights.')
param resourceName string

@description('Gigabytes a day after which logging stops until the next day.')
param dailyCapGb int

@description('Days that logs are kept.')
param retentionDays int

@description('Object id of the app\'s identity.')
param principalId string

var roles = {
  'Monitoring Metrics Publisher': '3913510d-42f4-4e42-8a64-420c390055eb'
}

resource workspace 'Microsoft.OperationalInsights/workspaces@2025-02-01' = {
  name: resourceName
  location: location
  tags: tags
  properties: {
    sku: {
      name: 'PerGB2018'
    }
    retentionInDays: retentionDays
    workspaceCapping: {
      dailyQuotaGb: dailyCapGb
    }
    features: {
      disableLocalAuth: true
      enableLogAccessUsingOnlyResourcePermissions: true
    }
  }
}

resource insights 'Microsoft.Insights/components@2020-02-02' = {
  name: resourceName
  location: location
  tags: tags
  kind: 'web'
  properties: {
    Application_Type: 'web'
    WorkspaceResourceId: workspace.id
    IngestionMode: 'LogAnalytics'
    DisableLocalAuth: true
  }
}

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: guid(resourceGroup().id, resourceName, 'workbook')
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: 'Marketplace leads'
    category: 'workbook'
    sourceId: insights.id
    version: '1.0'
    serializedData: replace(loadTextContent('../workbook.json'), '<insights>', insights.id)
  }
}

resource assignments 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for role in items(roles): {
    name: guid(insights.id, principalId, role.value)
    scope: insights
    properties: {
      description: role.key
      principalId: principalId
      principalType: 'ServicePrincipal'
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role.value)
    }
  }
]

@description('Resource id of Application Insights.')
output insightsId string = insights.id

@description('Where telemetry goes. It is an address and not a credential, as local authentication is off.')
output connectionString string = insights.properties.ConnectionString
