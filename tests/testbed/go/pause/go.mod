// The process that holds the namespaces of a pod.
module interchain.security/testbed/pause

go 1.24.0
