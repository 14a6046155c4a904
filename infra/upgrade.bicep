// Publishes a package to an app that is there, and changes nothing else: a newer version, or an older one to go back.
// Compiled to upgrade.json. Never tried in Azure, see README.md.
targetScope = 'resourceGroup'

import { isPackage } from 'modules/package.bicep'

@description('The function app. The default is the app of a deployment that kept the default name.')
param functionApp string = 'leads-${uniqueString(resourceGroup().id, 'leads')}'

@description('The address of released-package.zip of the version that shall run, as the page of its release links to it.')
param packageUri string

var checkedUri = isPackage(packageUri)
  ? packageUri
  : fail('packageUri: it is not the address of a package. It begins with https://, ends with .zip, and has no query.')

module package 'modules/package.bicep' = {
  params: {
    appName: functionApp
    packageUri: checkedUri
  }
}

@description('What to do next, in words.')
output next string = 'Within some minutes the page of the app, https://${functionApp}.azurewebsites.net/api/page/, shows the version that runs. Should it not change, run this deployment again.'
