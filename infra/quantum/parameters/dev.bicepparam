using '../main.bicep'

param environmentName = 'dev'
param providers = [
  { providerId: 'ionq', providerSku: 'pay-as-you-go-cred' }
]
param protect = false
