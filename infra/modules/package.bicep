// Publishes a package that lies at a public address. Azure fetches it, looks at it, and copies it into the container for
// deployed code, as the app's identity.

@description('Name of the function app.')
param appName string

@description('Address of the package.')
param packageUri string

@export()
@description('Whether a text is the https address of a zip file, without a query: what stands there is in the history of deployments.')
func isPackage(uri string) bool =>
  startsWith(uri, 'https://') && !startsWith(uri, 'https:///') && endsWith(uri, '.zip') && length(split(uri, '/')) > 3 && empty(filter(
    [' ', '?', '#', '@', '\\'],
    c => contains(uri, c)
  ))

resource app 'Microsoft.Web/sites@2024-11-01' existing = {
  name: appName
}

resource code 'Microsoft.Web/sites/extensions@2024-11-01' = {
  parent: app
  name: 'onedeploy'
  #disable-next-line BCP187 // Azure's own description of this type has no properties; Microsoft documents these two
  properties: {
    packageUri: packageUri
    // Azure would install the dependencies anew, for a Python of its own choice.
    remoteBuild: false
  }
}
