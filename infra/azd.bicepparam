// For the Azure Developer CLI. There is nothing to edit here: the parameters are those of main.bicepparam.
using 'azd.bicep'
extends 'main.bicepparam'

param environmentName = readEnvironmentVariable('AZURE_ENV_NAME')
param location = readEnvironmentVariable('AZURE_LOCATION')
param main = { ...base, secrets: {} }
param secrets = base.secrets
