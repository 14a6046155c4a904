// The Key Vault with the secret settings. The app reads them through references; nobody else is given a role here.

@description('Where it is created.')
param location string

@description('Tags of every resource.')
param tags { *: string }

@description('Name of the vault.')
@minLength(3)
@maxLength(24)
param vaultName string

@description('Names of the settings that are secrets.')
param secretSettings string[]

@description('Values by name of the setting. One that is empty or missing changes nothing in the vault.')
@secure()
param secrets { *: string }

@description('Whether the vault and its secrets can be purged before 90 days have passed.')
param purgeProtection bool

@description('Object id of the app\'s identity.')
param principalId string

var roles = {
  'Key Vault Secrets User': '4633458b-17de-408a-b874-0445c86b69e6'
}

resource vault 'Microsoft.KeyVault/vaults@2024-11-01' = {
  name: vaultName
  location: location
  tags: tags
  properties: {
    tenantId: subscription().tenantId
    sku: {
      family: 'A'
      name: 'standard'
    }
    enableRbacAuthorization: true
    // Azure refuses `false`: the property is left out instead.
    enablePurgeProtection: purgeProtection ? true : null
    publicNetworkAccess: 'Enabled'
  }
}

// Names of secrets may hold no underscore. The loop counts names and not values: what-if cannot count what is secret.
resource values 'Microsoft.KeyVault/vaults/secrets@2024-11-01' = [
  for setting in secretSettings: if (!empty(secrets[?setting])) {
    parent: vault
    name: replace(setting, '_', '-')
    properties: {
      value: secrets[?setting] ?? ''
    }
  }
]

resource assignments 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for role in items(roles): {
    name: guid(vault.id, principalId, role.value)
    scope: vault
    properties: {
      description: role.key
      principalId: principalId
      principalType: 'ServicePrincipal'
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role.value)
    }
  }
]

@description('Name of the vault.')
output vaultName string = vault.name
