using '../main.bicep'

param environmentName = 'prod'
param providers = [
  { providerId: 'ionq', providerSku: 'pay-as-you-go-cred' }
  { providerId: 'quantinuum', providerSku: 'standard1' }
]
param submitterPrincipalIds = ['00000000-0000-0000-0000-000000000002']
param softDeleteDays = 90
