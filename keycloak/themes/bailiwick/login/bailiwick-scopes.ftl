<#import "template.ftl" as layout>
<#-- What an app may do. Filled in by ScopeChoice.java; a plain form, so it works without JavaScript. -->
<#macro place at>
  <#if at.kind() = "here">${msg("scopesPlaceHere", at.address())}<#elseif at.kind() = "app">${msg("scopesPlaceApp", at.address())}<#else>${at.address()}</#if>
</#macro>
<@layout.registrationLayout; section>
  <#if section = "header">
    ${msg("scopesTitle")}
  <#elseif section = "form">
    <p>${msg("scopesCallsItself")} <span class="bw-name">“<bdi>${asking.name()}</bdi>”</span> ${msg("scopesAsks")} <span class="bw-name"><bdi>${person}</bdi></span>.</p>
    <dl class="bw-who">
      <#if asking.publisher()??>
        <dt>${msg("scopesPublisher")}</dt>
        <dd>${asking.publisher()}</dd>
      </#if>
      <#if asking.target()??>
        <dt>${msg("scopesTarget")}</dt>
        <dd><@place asking.target()/></dd>
      </#if>
      <#if asking.others()?has_content>
        <dt>${msg("scopesOthers")}</dt>
        <dd><#list asking.others() as other><@place other/><#sep>, </#list></dd>
      </#if>
    </dl>
    <p class="bw-hint">${msg("scopesUnchecked")}</p>
    <form class="bw-scopes" action="${url.loginAction}" method="post">
      <#if nothingIsTheirs>
        <p>${msg("scopesNothingIsYours")}</p>
      <#elseif !groups?has_content>
        <p>${msg("scopesOnlyWhoYouAre")}</p>
      </#if>
      <#list groups as group>
        <fieldset class="bw-${group.key()}" aria-describedby="bw-hint-${group.key()}">
          <legend>${msg("scopesGroup." + group.key())}</legend>
          <p class="bw-hint" id="bw-hint-${group.key()}">${msg("scopesHint." + group.key())}</p>
          <ul class="bw-ticks" role="list">
            <#list group.ticks() as tick>
              <li>
                <label for="scope-${tick.name()}">
                  <input type="checkbox" id="scope-${tick.name()}" name="scope" value="${tick.name()}"<#if tick.ticked()> checked</#if>>
                  <#if group.key() = "stay">
                    <span>${advancedMsg(tick.text()!tick.title())}</span>
                  <#else>
                    <strong>${advancedMsg(tick.title())}</strong>
                    <small>${advancedMsg(tick.text()!)}</small>
                  </#if>
                </label>
              </li>
            </#list>
          </ul>
        </fieldset>
      </#list>
      <div class="bw-answer">
        <#if !nothingIsTheirs>
          <button class="${properties.kcButtonPrimaryClass}" type="submit" name="accept" value="yes">${msg("scopesConnect")}</button>
        </#if>
        <button class="${properties.kcButtonSecondaryClass}" type="submit" name="cancel" value="yes">${msg("doCancel")}</button>
      </div>
      <p class="bw-after">${msg("scopesAfter")}</p>
    </form>
  </#if>
</@layout.registrationLayout>
