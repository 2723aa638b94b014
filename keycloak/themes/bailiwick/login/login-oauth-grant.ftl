<#import "template.ftl" as layout>
<#-- Keycloak's own consent page, all or nothing. It comes up only if bailiwick-scope-choice was switched off in the realm;
     then there is no button here, so that nobody grants what they could not choose. -->
<@layout.registrationLayout displayMessage=false; section>
  <#if section = "header">
    ${msg("grantClosedTitle")}
  <#elseif section = "form">
    <p>${msg("grantClosedText")}</p>
  </#if>
</@layout.registrationLayout>
